"""Dropout inside a cell, and zoneout, as equations: a cell → the cell that is trained, and the one that is tested.

A mask is a value of every step like x, and a layer feeds its cell one input sequence: so the trained cell reads x with
the masks under it, `[x, m_h] = x_m`. The parameters are those of the cell that it was made from. Draws no masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.modules import MASKS, MaskKind
from lstm_spec.layers.signals import read_choice, read_rate
from lstm_spec.symbolic.algebra import Add, Divide, Multiply, Name, Node, Number, Product, Subtract
from lstm_spec.symbolic.cell import Cell, Declaration, Equation
from lstm_spec.symbolic.shapes import infer

Rate = int | float | str | Fraction


@dataclass(frozen=True, slots=True)
class MaskInput:
    """One mask that a trained cell reads: its name there, and its rows in the cell's letters.

    `keeps` masks are 1 where the old state stays and else 0; the others are 0 where an entry is dropped and else
    1 / (1 − rate).
    """

    name: str
    rows: Any
    rate: Fraction
    kind: MaskKind
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """The cell with its masks under x, in the order in which they stand there."""

    cell: Cell
    masks: tuple[MaskInput, ...]


@dataclass(frozen=True, slots=True)
class RecurrentDropout:
    """Dropout on a state where matrices read it, or on a gate.

    | on | mask | apart | as in |
    |---|---|---|---|
    | h | sequence | True | Keras's `recurrent_dropout=`: one mask for each gate's matrix |
    | h | sequence | False | one mask for all gates (Gal & Ghahramani 2016, tied) |
    | g | element | | TF1's `LayerNormBasicLSTMCell(dropout_keep_prob=)` (Semeniuta et al. 2016); rate = 1 − keep_prob |

    At inference it is the identity.
    """

    rate: Fraction
    on: str = "h"
    mask: MaskKind = "sequence"
    apart: bool = False

    def __init__(self, rate: Rate, on: str = "h", mask: MaskKind = "sequence", apart: bool = False) -> None:
        read_choice("mask", mask, MASKS)
        read_choice("apart", apart, (True, False))
        for name, value in (("rate", read_rate(rate)), ("on", on), ("mask", mask), ("apart", apart)):
            object.__setattr__(self, name, value)

    def tested(self, cell: Cell) -> Cell:
        """The cell itself."""
        return cell

    def trained(self, cell: Cell) -> Trained:
        """`U_f h` → `U_f (m_h * h)`, or `g = tanh(…)` → `g = m_g * tanh(…)`."""
        role = cell.roles.get(self.on)
        if role not in ("state", "gate") or (self.apart and role == "gate"):
            raise _no_place("dropout", self.on, cell, "a state or a gate" if not self.apart else "a state")
        masking = _Masking(cell, self)
        changed = masking.read_state() if role == "state" else masking.define_gate()
        if not masking.masks:
            message = f"no matrix reads the state {self.on}"
            raise OptionError(Finding("noise", message, because="recurrent dropout masks what a matrix reads"))
        return _feed(cell, changed, masking.masks)

    @property
    def words(self) -> str:
        """What it is, for a table."""
        return f"dropout {float(self.rate):g} on {self.on}"


@dataclass(frozen=True, slots=True)
class Zoneout:
    """Zoneout (Krueger et al. 2017): an entry of a state keeps its old value with the probability given by its name.

    `Zoneout(c="0.5", h="0.05")`. The states' equations read each other's values from before zoneout, as in the paper.
    At inference the expectation takes the place of the draw; without `expectation` the plain cell, as in MXNet and
    Chainer.
    """

    rates: tuple[tuple[str, Fraction], ...]
    expectation: bool

    def __init__(self, expectation: bool = True, **rates: Rate) -> None:
        read_choice("expectation", expectation, (True, False))
        if not rates:
            message = "zoneout keeps states, and none is named"
            raise OptionError(Finding("noise", message, help='Zoneout(c="0.5", h="0.05")'))
        object.__setattr__(self, "rates", tuple((name, read_rate(rate, name)) for name, rate in rates.items()))
        object.__setattr__(self, "expectation", expectation)

    def tested(self, cell: Cell) -> Cell:
        """`c' = 0.5 * c + 0.5 * c_new`, or the cell itself."""
        return zoneout(cell, dict(self.rates)) if self.expectation else cell

    def trained(self, cell: Cell) -> Trained:
        """`c' = m_c * c + (1 - m_c) * c_new`."""
        masks = {name: _fresh(cell, f"m_{name}") for name, _ in self.rates}
        kept = {name: (Name(masks[name]), Subtract(Number(1), Name(masks[name]))) for name in masks}
        rows = {d.name: d.size[0] for d in cell.states}
        changed = _blend(cell, kept)
        inputs = tuple(MaskInput(masks[n], rows[n], rate, "element", keeps=True) for n, rate in self.rates)
        return _feed(changed, changed.equations, inputs)

    @property
    def words(self) -> str:
        """What it is, for a table."""
        return "zoneout " + ", ".join(f"{float(rate):g} on {name}" for name, rate in self.rates)


Noise = RecurrentDropout | Zoneout


def zoneout(cell: Cell, rates: Mapping[str, Rate]) -> Cell:
    """The cell that a cell trained with zoneout is at inference: each state the expectation of its draw.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> tested = zoneout(lstm_cell(), {"c": "0.5"})
    >>> print(tested.defined["c_new"], tested.defined["h'"], tested.defined["c'"], sep="; ")
    c_new = f * c + i * g; h' = o * tanh(c_new); c' = 0.5 * c + 0.5 * c_new

    Raises OptionError for a name that is no state, and for no share in [0, 1).
    """
    exact = {name: read_rate(rate, name) for name, rate in rates.items()}
    return _blend(cell, {name: (_number(rate), _number(1 - rate)) for name, rate in exact.items()})


def _number(value: Fraction) -> Node:
    """`0.05`, or `1 / 3` where no decimal says it."""
    decimal = repr(float(value))
    exact = Fraction(decimal) == value
    node: Node = Number(value, decimal) if exact else Divide(Number(value.numerator), Number(value.denominator))
    return node


def _blend(cell: Cell, kept: Mapping[str, tuple[Node, Node]]) -> Cell:
    """`c' = …` → `c_new = …` and `c' = old * c + new * c_new`; who read c' now reads c_new."""
    states = {d.name for d in cell.states}
    for name in kept:
        if name not in states:
            raise _no_place("zoneout", name, cell, "a state")
    renamed = {f"{name}'": _fresh(cell, f"{name}_new") for name in kept}
    at = {Name(old): Name(new) for old, new in renamed.items()}
    equations = [
        Equation(tuple(renamed.get(t, t) for t in e.targets), e.expression.xreplace(at), e.total)
        for e in cell.equations
    ]
    for name, (old, new) in kept.items():
        mixed = Add(Multiply(old, Name(name)), Multiply(new, Name(renamed[f"{name}'"])))
        equations.append(Equation((f"{name}'",), mixed))
    return replace(cell, equations=tuple(equations), source=None)


class _Masking:
    """Puts masks into the equations, and remembers which."""

    def __init__(self, cell: Cell, noise: RecurrentDropout) -> None:
        self.cell, self.noise = cell, noise
        self.masks: tuple[MaskInput, ...] = ()
        self.rows = infer(cell)[noise.on].rows

    def read_state(self) -> tuple[Equation, ...]:
        """`U_f h` → `U_f (m_h * h)`, in every product."""
        return tuple(replace(e, expression=self._masked(e.expression), span=None) for e in self.cell.equations)

    def define_gate(self) -> tuple[Equation, ...]:
        """`g = tanh(…)` → `g = m_g * tanh(…)`."""
        equation = self.cell.defined[self.noise.on]
        if len(equation.targets) > 1:
            raise _no_place("dropout", self.noise.on, self.cell, "a gate with an equation of its own")
        masked = replace(equation, expression=Multiply(self._mask(), equation.expression), span=None)
        return tuple(masked if e == equation else e for e in self.cell.equations)

    def _mask(self) -> Node:
        """The mask, or one more where they are apart."""
        if self.noise.apart or not self.masks:
            name = f"m_{self.noise.on}{len(self.masks) + 1 if self.noise.apart else ''}"
            mask = MaskInput(_fresh(self.cell, name), self.rows, self.noise.rate, self.noise.mask)
            self.masks += (mask,)
        return Name(self.masks[-1].name)

    def _masked(self, node: Node, read: bool = False) -> Node:
        """The tree with a mask on the state wherever a matrix reads it."""
        if isinstance(node, Name):
            return Multiply(self._mask(), node) if read and node.name == self.noise.on else node
        operands = [
            self._masked(o, read or (isinstance(node, Product) and i == 1)) for i, o in enumerate(node.operands)
        ]
        if tuple(operands) == node.operands:
            return node
        return node.over(operands)


def _feed(cell: Cell, equations: tuple[Equation, ...], masks: tuple[MaskInput, ...]) -> Trained:
    """The cell with these equations, which reads its masks under x: `[x, m_h] = x_m`."""
    (x,) = cell.inputs
    joined = _fresh(cell, f"{x.name}_m")
    split = Equation((x.name, *(m.name for m in masks)), Name(joined))
    declared = Declaration(joined, (sum((m.rows for m in masks), x.size[0]),), order=x.order)
    stated = (Declaration(x.name, x.size, order=x.order), *(Declaration(m.name, (m.rows,)) for m in masks))
    fed = replace(cell, inputs=(declared,), equations=(split, *equations), lets=(*stated, *cell.lets), source=None)
    return Trained(fed, masks)


def _fresh(cell: Cell, name: str) -> str:
    """A name that the cell does not have yet."""
    taken = {*cell.roles, *cell.letters}
    while name in taken:
        name += "_"
    return name


def _no_place(what: str, name: str, cell: Cell, wanted: str) -> OptionError:
    states = ", ".join(d.name for d in cell.states)
    gates = ", ".join(n for n, role in cell.roles.items() if role == "gate")
    has = f"states {states}" + (f"; gates {gates}" if gates else "")
    return OptionError(Finding("noise", f"{what} on {safe(name, 40)}, which is not {wanted}", expected=has))
