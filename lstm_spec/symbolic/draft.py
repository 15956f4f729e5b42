"""The equations of a backward cell as they are made, each under a name that nothing has yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from lstm_spec.symbolic.algebra import FUNCTIONS, Name, Node
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.gradient_names import GradientNames, lengthen, name_gradients
from lstm_spec.symbolic.shapes import Shapes, infer


@dataclass(slots=True)
class Draft:
    """The equations made so far; `target` is what the gradients of the equation at hand are called after."""

    cell: Cell
    shapes: Shapes = field(init=False)
    names: GradientNames = field(init=False)
    prefix: str = field(init=False)  # `d_`, or longer
    taken: set[str] = field(init=False)
    equations: list[Equation] = field(default_factory=list)
    target: str = ""

    def __post_init__(self) -> None:
        self.shapes = infer(self.cell)
        self.names, self.prefix = name_gradients(self.cell), lengthen(self.cell, "d_")
        self.taken = {*self.cell.roles, *self.cell.letters, *self.names.taken, *FUNCTIONS}

    def fresh(self, base: str) -> str:
        """A name that nothing has yet: the base, or the base with a number."""
        base = base.replace("'", "_next")
        name = next(n for i in count() if (n := f"{base}{i or ''}") not in self.taken)
        self.taken.add(name)
        return name

    def define(self, base: str, expression: Node) -> Name:
        """One more equation, `base = expression`, as the name that it defines."""
        name = self.fresh(base)
        self.equations.append(Equation((name,), expression))
        return Name(name)
