"""The way back: budgets → sizes. `solve` finds one or two of a layer's open letters and L.

Comes in: a layer with letters, and budgets on what `costing` derives. Goes out: a `Solution` with the closed form where
there is one, the sizes, what is left of each budget, and the neighbours. All arithmetic is exact; the polynomials of
any cell will do, because each grows with every size.
"""

from __future__ import annotations

from typing import Any

from lstm_spec.errors import Finding, OptionError, SizeError, safe
from lstm_spec.layers.integers import read_budget
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.question import BUDGETS, Question, Solution
from lstm_spec.layers.sizes import LARGEST, read_whole


def solve(
    layer: Layer,
    *,
    parameters: Any = None,
    macs: Any = None,
    bytes: Any = None,
    memory: Any = None,
    kept: Any = None,
    same_as: Layer | None = None,
    layers: bool = False,
    batch: Any = 1,
    time: Any = 1,
    dtype: str = "float32",
    multiple: int = 1,
    exact: bool | None = None,
) -> Solution:
    """The sizes that a layer leaves open (and L, if `layers`) from budgets, each an upper bound or met exactly.

    >>> from lstm_spec.layers.factory import lstm
    >>> print(solve(lstm(n=128), parameters=10**6))
    k = (sqrt((n + 1)**2 + P) - (n + 1))/2 = 439.643
    k = 439: parameters 997408 (2592 left)

    `macs` are those of `batch` samples over `time` steps, `bytes` those of the parameters, `memory` those that live at
    once in inference and `kept` those of backpropagation; `same_as` is a layer with numbers whose parameters are the
    budget. `multiple` holds the sizes to multiples, except n (unless it is the only unknown) and L. `exact` is whether
    budgets are met exactly: without it, one unknown takes the largest size that fits, and two are listed where they are
    exact, else where they fit. Raises OptionError and SizeError.
    """
    given = {"parameters": parameters, "macs": macs, "bytes": bytes, "memory": memory, "kept": kept}
    budgets = {name: read_budget(value, name) for name, value in given.items() if value is not None}
    if same_as is not None:
        if "parameters" in budgets:
            raise OptionError(Finding("options", "parameters are given twice", found="as a number, and as a layer's"))
        budgets["parameters"] = count_parameters(same_as)
    if not budgets:
        raise OptionError(
            Finding(
                "budget",
                "there is no budget",
                expected=", ".join([*BUDGETS, "same_as"]),
                help="e.g. parameters=10**6, --params 1e6",
            )
        )
    unknowns = (*layer.open_letters, *(["L"] * layers))
    step = read_whole(multiple)
    if step is None or not 1 <= step <= LARGEST:
        shown = safe(repr(multiple), 40)
        raise OptionError(Finding("option", f"multiple = {shown} is no step", expected="a whole number ≥ 1"))
    _hold_unknowns(layer, unknowns)
    for axis, value in (("batch", batch), ("time", time)):
        if (number := read_whole(value)) is None or number < 1:
            message = f"{axis} = {safe(repr(value), 40)} is no length of a budget"
            raise SizeError(Finding("size", message, expected="a whole number ≥ 1"))
    question = Question(layer, unknowns, budgets, batch, time, dtype, step)
    if len(unknowns) == 1:
        return question.one(bool(exact))
    return question.two(exact)


def count_parameters(layer: Layer) -> int:
    """The parameters of a layer that has numbers. Raises SizeError when it has letters."""
    if layer.open_letters:
        letters = ", ".join(layer.open_letters)
        raise SizeError(Finding("size", "the layer to match has letters for sizes", found=letters, help="give numbers"))
    return int(layer.parameter_count)


def _hold_unknowns(layer: Layer, unknowns: tuple[str, ...]) -> None:
    if not unknowns:
        sizes = ", ".join(f"{name} = {value}" for name, value in layer.given)
        raise SizeError(
            Finding("size", "there is nothing to solve for", found=sizes, help="leave one size out, or ask for L")
        )
    if len(unknowns) > 2:
        found = ", ".join(unknowns)
        raise SizeError(
            Finding(
                "size", f"{len(unknowns)} sizes are open", expected="one or two", found=found, help="give the others"
            )
        )
    if "L" in unknowns:
        layer.with_(layers=2)  # a cell that cannot stand on itself says so
