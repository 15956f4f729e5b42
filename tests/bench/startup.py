"""How long `lstm-spec shapes 5 10` takes, against the imports that it cannot do without.

    python tests/bench/startup.py

Prints both medians and their ratio; the goal is a ratio of at most 1.8. Both are measured by turns in one run, so
that a busy machine slows both.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

ROUNDS = 21
GOAL = 1.8
IMPORTS = [sys.executable, "-c", "import sympy, typer, rich.table"]
SHAPES = [str(Path(sys.executable).with_name("lstm-spec")), "shapes", "5", "10"]


def seconds(command: list[str]) -> float:
    """The wall time of one run."""
    start = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start


def main() -> None:
    """Measure and print."""
    for command in (IMPORTS, SHAPES):  # the first run writes bytecode
        seconds(command)
    times = [(seconds(IMPORTS), seconds(SHAPES)) for _ in range(ROUNDS)]
    imports, shapes = (median(column) for column in zip(*times, strict=True))
    print(f"imports {imports:.3f} s, shapes {shapes:.3f} s, ratio {shapes / imports:.2f} (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
