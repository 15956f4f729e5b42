"""Keras runs on torch here; its own NumPy backend has a test of its own, in another process."""

import os

import pytest

from tests.frameworks import peers

os.environ.setdefault("KERAS_BACKEND", "torch")

# Run only where they are asked for by name, in environments of their own.
collect_ignore_glob = ["*_peer.py"]


@pytest.fixture(scope="module", autouse=True)
def measured(request):
    """With -s: how far our code was from each peer at most."""
    yield
    for name, worst in sorted(peers.WORST.items()):
        print(f"\n{name}: {worst:.1e}", end="")
    peers.WORST.clear()
