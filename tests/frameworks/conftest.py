"""Keras runs on torch here; its own NumPy backend has a test of its own, in another process."""

import os

import pytest

from tests.frameworks import peers

os.environ.setdefault("KERAS_BACKEND", "torch")

# Run only where they are asked for by name: each wants an environment of its own.
collect_ignore = [f"{name}_peer.py" for name in ("tf", "chainer", "mxnet", "lasagne", "madmom")]


@pytest.fixture(scope="module", autouse=True)
def measured(request):
    """With -s: how far our code was from each peer at most."""
    yield
    for name, worst in sorted(peers.WORST.items()):
        print(f"\n{name}: {worst:.1e}", end="")
    peers.WORST.clear()
