"""The equations of an LSTM → the options that give them, where there are such: the way back from `lstm_cell`.

What the equations show is read off, and the guess is held against the equations: a cell that no option gives is None.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from lstm_spec.cells.family import lstm_cell
from lstm_spec.cells.options import CHOICES, LstmOptions
from lstm_spec.errors import OptionError
from lstm_spec.symbolic.algebra import Add, Call, Divide, Multiply, Name, Node, Number, Product, Subtract, walk
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.printing import text

GATES = "ifgo"


def recover_options(cell: Cell) -> LstmOptions | None:
    """The options for which `lstm_cell` gives an equal cell.

    >>> recover_options(lstm_cell(LstmOptions(bias="two", forget_bias=1))).changed()
    {'bias': 'two', 'forget_bias': Fraction(1, 1)}
    """
    if not {*GATES, "c'", "h'"} <= set(cell.defined):
        return None
    said = dict(_told_by_names(cell)) | dict(_told_by_gates(cell)) | dict(_told_by_states(cell))
    for norm in CHOICES["layer_norm"]:
        try:
            options = LstmOptions(**{**said, "layer_norm": norm})
        except OptionError:
            continue
        if lstm_cell(options) == cell:
            return options
    return None


def _told_by_names(cell: Cell) -> Iterator[tuple[str, Any]]:
    """Biases, peepholes, projection, hidden layers: what has parameters."""
    names = cell.parameters
    biases = [n for n in names if n == "b" or n.startswith(("b_", "d_"))]
    two = any(n.startswith(("b_W", "b_U")) for n in biases)
    yield "bias", "two" if two else "one" if set(biases) - {"b_proj"} else "none"
    peepholes = [n for n in names if n.startswith(("p_", "P_"))]
    if peepholes:
        yield "peephole", "diagonal" if peepholes[0].startswith("p_") else "full"
        yield "peephole_output", "after" if "c'" in cell.defined["o"].reads else "before"
    yield "projection", "W_proj" in names
    yield "projection_bias", "b_proj" in names
    yield "gate_hidden", any(n.startswith("V_") for n in names)


def _told_by_gates(cell: Cell) -> Iterator[tuple[str, Any]]:
    """Coupling, activations, the clip, the constant of the forget gate."""
    for gate, other in (("f", "i"), ("i", "f")):
        if text(cell.defined[gate].expression) == f"1 - {other}":
            yield "coupled", f"{gate}=1-{other}"
    for gate, option in (("o", "gate_activation"), ("g", "candidate_activation")):
        node = cell.defined[gate].expression
        if isinstance(node, Call):
            yield option, _activation(node)
            if (bound := _bound(node.tensors[0])) is not None:
                yield "clip", bound
    forget = cell.defined["f"].expression
    if isinstance(forget, Call):
        inside = forget.tensors[0]
        inside = inside.tensors[0] if _bound(inside) is not None else inside
        if isinstance(inside, Add | Subtract) and (constant := _constant(inside.right)) is not None:
            yield "forget_bias", constant if isinstance(inside, Add) else -constant


def _told_by_states(cell: Cell) -> Iterator[tuple[str, Any]]:
    """The clips of what is stored, and the activation between c' and h'."""
    stored, output = (cell.defined[name].expression for name in ("c'", "h'"))
    for option, node in (("clip_cell", stored), ("clip_projection", output)):
        if (bound := _bound(node)) is not None:
            yield option, bound
    for node in walk(output):
        if isinstance(node, Multiply) and node.left == Name("o") and isinstance(node.right, Call):
            yield "output_activation", _activation(node.right)
        if isinstance(node, Product) and isinstance(node.right, Name):
            return


def _constant(node: Node) -> Fraction | None:
    """`1`, `1 / 3`; None for what is no number."""
    if isinstance(node, Divide) and isinstance(node.left, Number) and isinstance(node.right, Number):
        return Fraction(str(node.left.value / node.right.value))
    return Fraction(str(node.value)) if isinstance(node, Number) else None


def _activation(call: Call) -> str:
    """`tanh`, `hard_sigmoid(1/6, 1/2)`."""
    numbers = ", ".join(text(operand) for operand in call.operands if isinstance(operand, Number))
    return f"{call.function}({numbers})" if numbers else call.function


def _bound(node: Node) -> Fraction | None:
    """The bound of `clip(z, -3, 3)`; None for what is no clip."""
    if isinstance(node, Call) and node.function == "clip":
        return Fraction(str(node.numbers[1]))
    return None
