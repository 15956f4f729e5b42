"""How the time of a check grows with the file, and how long a convention takes to find.

    python tests/bench/checking.py

Ten times as many tensors, and ten times as many layers, may take at most 25 times as long: a look at all the others
for each one would take 100. `identify` of a layer of 512 units may take 5 s. Fails where a goal is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np

import lstm_spec as ls
from lstm_spec import dialects

ROUNDS, FEW = 5, 50
MOST_OF_TENTH, MOST_SECONDS = 25.0, 5.0
Arrays = dict[str, np.ndarray]

RNG = np.random.default_rng(0)


def layer(n: int, k: int, prefix: str = "") -> Arrays:
    """PyTorch's tensors of one layer."""
    shapes = {"weight_ih_l0": (4 * k, n), "weight_hh_l0": (4 * k, k), "bias_ih_l0": (4 * k,), "bias_hh_l0": (4 * k,)}
    return {prefix + name: RNG.uniform(-1, 1, shape) / k**0.5 for name, shape in shapes.items()}


def layers(count: int, end: str, without: str = "") -> Arrays:
    """So many small ones, each under a name of its own, and perhaps each without a tensor."""
    every = {name: a for index in range(count) for name, a in layer(5, 3, f"e{index}{end}").items()}
    return {name: a for name, a in every.items() if not (without and name.endswith(without))}


def others(count: int) -> Arrays:
    """A layer beside so many tensors that are none of its own."""
    return layer(5, 3, "enc.") | {f"w{index}": np.zeros((), "f4") for index in range(count)}


def fastest(run: Callable[[], object]) -> float:
    """The shortest of some runs, in seconds: what else runs on the machine only adds."""
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return min(times)


def growth(few: Arrays, many: Arrays) -> float:
    """How many times as long the second takes."""
    ls.check(few, numbers=False)
    first, second = (fastest(lambda tensors=tensors: ls.check(tensors, numbers=False)) for tensors in (few, many))
    return second / first


def identifying(k: int) -> float:
    """Seconds to find the convention of a layer of k units, of one recorded step."""
    arrays, cell = layer(k, k), ls.lstm(k, k, bias="two")
    x, h, c = (RNG.standard_normal((8, k)) for _ in range(3))
    run = ls.compile(cell)
    y, state = run(x[None], dialects.get("pytorch").unpack(arrays, cell), {"h": h, "c": c})
    step = {"x": x, "h": h, "c": c, "h1": y[0], "c1": state["c"]}
    return fastest(lambda: ls.identify(arrays, step).ok or sys.exit("identify: no match"))


def main() -> None:
    """Measure and print; fails where a goal is missed."""
    tenths: dict[str, Callable[[int], Arrays]] = {
        "tensors": lambda count: others(40 * count),
        "layers": lambda count: layers(count, "."),
        "joined names": lambda count: layers(count, "_"),
        "broken layers": lambda count: layers(count, ".", without="weight_ih_l0"),
    }
    grown = {what: growth(make(FEW), make(10 * FEW)) for what, make in tenths.items()}
    for what, ratio in grown.items():
        print(f"check of ten times as many {what}: {ratio:.1f} times as long (goal: at most {MOST_OF_TENTH:.0f})")
    seconds = identifying(512)
    print(f"identify of 512 units: {seconds:.2f} s (goal: at most {MOST_SECONDS:.0f})")
    missed = max(grown.values()) > MOST_OF_TENTH or seconds > MOST_SECONDS
    sys.exit("a goal is missed" if missed else 0)


if __name__ == "__main__":
    main()
