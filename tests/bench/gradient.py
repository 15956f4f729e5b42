"""How fast the compiled code runs forward and backward, against PyTorch's LSTM of the same weights, on one core each.

    python tests/bench/gradient.py [n k T B]

Ratios within one run, the median of some rounds taken in turn: above 1 PyTorch is faster. float32, as people train.
Not run by CI: it measures the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import lstm_spec as ls

ROUNDS = 7
SIZES = ((16, 32, 50, 8), (64, 128, 100, 16), (256, 256, 50, 32))


def once(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = perf_counter()
    call()
    return perf_counter() - start


def compare(n: int, k: int, time: int, batch: int) -> tuple[float, float]:
    """Our time over PyTorch's: of a forward run, and of a forward and backward run."""
    import torch

    theirs = torch.nn.LSTM(n, k)
    layer, weights = ls.read(theirs)
    run = ls.compile(layer, gradient=True)
    packed = run.pack(weights)
    x = np.random.default_rng(0).normal(size=(time, batch, n)).astype(np.float32)
    given, d_y = torch.tensor(x, requires_grad=True), np.ones((time, batch, k), np.float32)

    def forward_torch() -> None:
        with torch.no_grad():
            theirs(given)

    pairs: tuple[tuple[Callable[[], Any], Callable[[], Any]], ...] = (
        (lambda: run(x, packed), forward_torch),
        (lambda: run.gradient(x, packed, d_y), lambda: theirs(given)[0].sum().backward()),
    )
    for ours, torchs in pairs:
        ours(), torchs()
    ratios = [[once(ours) / once(torchs) for _ in range(ROUNDS)] for ours, torchs in pairs]
    return median(ratios[0]), median(ratios[1])


def main() -> None:
    """Measure and print."""
    import torch

    torch.set_num_threads(1)
    asked = tuple(map(int, sys.argv[1:5]))
    for sizes in (asked,) if len(asked) == 4 else SIZES:
        forward, backward = compare(*sizes)
        n, k, time, batch = sizes
        print(f"n={n} k={k} T={time} B={batch}: forward {forward:.2f}, with gradients {backward:.2f} of PyTorch's time")


if __name__ == "__main__":
    main()
