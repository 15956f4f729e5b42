"""Keras runs on torch here; its own NumPy backend has a test of its own, in another process."""

import os

import pytest

from tests.frameworks import peers

os.environ.setdefault("KERAS_BACKEND", "torch")

collect_ignore = ["tf_peer.py", "onednn_peer.py", "kaldi_peer.py"]  # each runs only where it is asked for by name


@pytest.fixture(scope="module", autouse=True)
def measured(request):
    """With -s: how far our code was from each peer at most."""
    yield
    for name, worst in sorted(peers.WORST.items()):
        print(f"\n{name}: {worst:.1e}", end="")
    peers.WORST.clear()
