"""cuDNN's own RNN sample against ours: the checksums that it publishes for a stack of two LSTMs, forward and backward.

Source: cudnn_samples_v8/RNN/readme.txt, golden_3.txt: T = 20, L = 2, n = k = 512, B = 64, two biases, float32; and
RNN_example.cu: every entry of a matrix is 1 / its size, biases, x, h, c and all incoming gradients are 1, and each
number is the sum of an array. All gates and all units are equal here, so that no order of gates or units can be told;
what is held are the equations, both biases and the stack.
"""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import get

T, B, N = 20, 64, 512
GOLDEN = {
    "y": 5.749536e05,
    "cy": 4.365091e05,
    "hy": 5.774818e04,
    "dx": 3.842206e02,
    "dcx": 9.323785e03,
    "dhx": 1.182562e01,
    "dw": 4.313461e08,
}
# six digits are printed, of float32 sums over 20 steps forward and 20 back
FORWARD, BACKWARD = 1e-6, 1e-5
CUDNN = get("cudnn")


def checksums(layer):
    """The sample's sums. Its 64 samples are one sample 64 times: one is run."""
    packed = {t.name: np.zeros(tuple(map(int, t.shape))) for t in CUDNN.tensors(layer)}
    weights = CUDNN.unpack({name: a + (1 / a.size if a.ndim == 2 else 1) for name, a in packed.items()}, layer)
    state = {name: np.ones((1, N)) for name in layer.state_shapes()}
    run = ls.compile(layer, gradient=True)
    y, after, grads = run.gradient(np.ones((T, 1, N)), weights, np.ones((T, 1, N)), state, state)

    def total(arrays, letter=""):
        return B * sum(float(a.sum()) for name, a in arrays.items() if name.endswith(letter))

    return {
        "y": total({"y": y}),
        "cy": total(after, "c"),
        "hy": total(after, "h"),
        "dx": total({"x": grads.x}),
        "dcx": total(grads.state, "c"),
        "dhx": total(grads.state, "h"),
        "dw": total(grads.weights),
    }


def missed(found):
    """The relative error of each sum."""
    return {name: abs(found[name] / golden - 1) for name, golden in GOLDEN.items()}


def test_the_checksums_of_the_sample():
    errors = missed(checksums(ls.lstm(N, N, bias="two", layers=2)))
    assert max(errors[name] for name in ("y", "cy", "hy")) < FORWARD, errors
    assert max(errors.values()) < BACKWARD, errors


@pytest.mark.parametrize("layers", [1, 3])
def test_another_stack_misses(layers):
    errors = missed(checksums(ls.lstm(N, N, bias="two", layers=layers)))
    assert min(errors[name] for name in ("cy", "hy", "dw")) > 0.05, errors


def test_without_biases_it_misses():
    errors = missed(checksums(ls.lstm(N, N, bias="none", layers=2)))
    assert min(errors.values()) > 0.05, errors
