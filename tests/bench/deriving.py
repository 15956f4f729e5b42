"""How long it takes to derive everything about a cell, against the import of SymPy; and a stack against one layer.

    python tests/bench/deriving.py

For each cell of the catalogue: its shapes, counts, cost and gradient, shown as text, in a fresh process that has
imported SymPy and parsed the cell; the goal is at most 1.5 times the import for the slowest of them. A stack of 100
layers against one layer; the goal is at most 5 times. Ratios within one run, so that a busy machine slows both.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

ROUNDS = 3
MOST_OF_IMPORT, MOST_OF_ONE = 1.5, 5.0

MEASURE = """
import sys
from time import perf_counter

start = perf_counter()
import sympy
imported = perf_counter() - start

import lstm_spec as ls
cell = ls.cells.get(sys.argv[1])
start = perf_counter()
layer = ls.Layer(cell)
{derive}
print(imported, perf_counter() - start)
"""

# What is derived of a layer; a new derivation is a line here.
DERIVE = """
str(layer.shapes())
str(layer.parameter_count)
str(layer.cost())
str(ls.differentiate(layer.cell))
"""

STACK = """
import sys
from statistics import median
from time import perf_counter

import lstm_spec as ls

def once(layers, k):
    start = perf_counter()
    layer = ls.lstm("n", k, layers=layers)
    {derive}
    return perf_counter() - start

once(1, 7), once(100, 7)
pairs = [(once(1, 8 + i), once(100, 8 + i)) for i in range(7)]
print(*(median(column) for column in zip(*pairs)))
"""


def run(code: str, *arguments: str) -> tuple[float, float]:
    """The two numbers that a script prints."""
    found = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    first, second = map(float, found.stdout.split())
    return first, second


def of_cell(name: str) -> float:
    """Deriving over importing, the median of some rounds."""
    pairs = [run(MEASURE.format(derive=DERIVE), name) for _ in range(ROUNDS)]
    return median(derived / imported for imported, derived in pairs)


def main() -> None:
    """Measure and print; fails where a goal is missed."""
    from lstm_spec.cells.catalogue import names

    ratios = {name: of_cell(name) for name in ("lstm", *names())}
    slowest = max(ratios, key=lambda name: ratios[name])
    one, stack = run(STACK.format(derive=DERIVE.replace("\n", "\n    ")))
    middle, most = median(ratios.values()), ratios[slowest]
    print(f"deriving {len(ratios)} cells: {middle:.2f} of the import of SymPy, at most {most:.2f} ({slowest})")
    print(f"100 layers: {stack * 1000:.1f} ms, one {one * 1000:.1f} ms, ratio {stack / one:.2f}")
    missed = ratios[slowest] > MOST_OF_IMPORT or stack / one > MOST_OF_ONE
    sys.exit(f"goals: at most {MOST_OF_IMPORT} and {MOST_OF_ONE}" if missed else 0)


if __name__ == "__main__":
    main()
