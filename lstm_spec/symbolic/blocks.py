"""A cell → the Jacobian of one step: a block ∂s'/∂u for each pair of states, as sums of products of matrices.

Forward mode over the equations. A gate is put in where it is read; a value after the step, or a gate that is a long
sum, stays a block of its own: `dh'/dc = diag(…) dc'/dc`. What acts entry by entry is a `diag`, and equal matrices are
collected, so that what carries a state to itself without any weight matrix is seen. Holds no sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from lstm_spec.display import Displayed
from lstm_spec.errors import CellError, Finding
from lstm_spec.symbolic.algebra import (
    Add,
    Call,
    Divide,
    Join,
    Multiply,
    Name,
    Negate,
    Node,
    Number,
    Product,
    Subtract,
)
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.derivatives import CONSTANT, derivative
from lstm_spec.symbolic.matrix_sums import IDENTITY, Factor, Sum, Term, collected, opposite, over, times
from lstm_spec.symbolic.outer import is_long

Path = Literal["nothing", "diagonal", "matrices", "both"]
MOST_TERMS, MOST_NODES = 3, 30  # a gate with more of either is a block of its own
Key = tuple[str, str]


@dataclass(frozen=True)
class Jacobian(Displayed):
    """The Jacobian of one step. `blocks` maps (value, state) to its sum, in an order in which each reads earlier ones.

    A block that is 0 is left out.
    """

    cell: Cell
    blocks: Mapping[Key, Sum]

    def __getitem__(self, key: Key) -> Sum:
        """∂value/∂state, `("c'", "h")`; an empty sum is 0."""
        return self.blocks.get(key, ())

    @cached_property
    def paths(self) -> Mapping[str, Path]:
        """State → what carries it to itself in one step, with the other states held."""
        return {s.name: _path(self[s.name + "'", s.name]) for s in self.cell.states}

    def __str__(self) -> str:
        from lstm_spec.symbolic.block_text import jacobian_text

        return jacobian_text(self)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: every block as text, and what carries each state to itself."""
        from lstm_spec.symbolic.block_text import sum_text

        made = [{"of": of, "by": by, "block": sum_text(terms)} for (of, by), terms in self.blocks.items()]
        return {"cell": str(self.cell), "blocks": made, "paths": dict(self.paths)}


def _path(terms: Sum) -> Path:
    diagonal = [term.is_diagonal for term in terms]
    return "nothing" if not terms else "diagonal" if all(diagonal) else "both" if any(diagonal) else "matrices"


def derive_jacobian(cell: Cell) -> Jacobian:
    """∂(states after the step)/∂(states before it), block by block.

    >>> from lstm_spec.symbolic.language import parse
    >>> print(derive_jacobian(parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h + b)")))
    dh'/dh = diag(1 - h' * h') U

    Raises CellError `jacobian` for a matrix that depends on a state, or a state that is a matrix.
    """
    for declared in cell.states:
        if len(declared.size) > 1:
            message = f"{declared.name} is a matrix, and only vectors have a Jacobian here"
            raise CellError(Finding("jacobian", message, at=str(declared)))
    made: dict[Key, Sum] = {}
    for state in cell.states:
        own = _Forward(cell, state.name)
        for after in own.order:
            own.value(after)
        made |= own.blocks
    values = [t for e in cell.ordered for t in e.targets]
    ranked = sorted(made, key=lambda key: values.index(key[0]))
    return Jacobian(cell, {key: made[key] for key in ranked})


@dataclass(slots=True)
class _Forward:
    """The Jacobians of everything by one state. `blocks` are those that stand by themselves, `known` all of them."""

    cell: Cell
    state: str
    blocks: dict[Key, Sum] = field(default_factory=dict)
    known: dict[str, Sum] = field(default_factory=dict)
    saved: dict[Node, Name] = field(init=False)

    def __post_init__(self) -> None:
        single = (e for e in self.cell.equations if len(e.targets) == 1 and not isinstance(e.expression, Name))
        self.saved = {e.expression: Name(e.targets[0]) for e in single}

    @property
    def order(self) -> list[str]:
        """The states after the step, as they are computed."""
        return [t for e in self.cell.ordered for t in e.targets if t.endswith("'")]

    def value(self, name: str) -> Sum:
        """∂name/∂state as it is put where the name is read."""
        if name == self.state:
            return IDENTITY
        if name not in self.cell.defined:
            return ()
        if name not in self.known:
            equation = self.cell.defined[name]
            terms = self.split(name, equation) if len(equation.targets) > 1 else self.of(equation.expression)
            self.known[name] = self.kept(name, terms)
        return self.known[name]

    def kept(self, name: str, terms: Sum) -> Sum:
        """The terms, or a block that stands for them."""
        is_next = name.endswith("'")
        many = len(terms) > (1 if is_next else MOST_TERMS) or _nodes(terms) > MOST_NODES
        if terms and (is_next or many):
            self.blocks[name, self.state] = terms
        return (Term((Factor("block", names=(name, self.state)),)),) if terms and many else terms

    def split(self, name: str, equation: Equation) -> Sum:
        """The rows of one of several names."""
        whole = self.of(equation.expression)
        rows = Factor("rows", names=(name, *equation.targets))
        return tuple(Term((rows, *term.factors), term.minus) for term in whole)

    def of(self, node: Node) -> Sum:
        """∂node/∂state."""
        match node:
            case Number():
                return ()
            case Name():
                return self.value(node.name)
            case Add():
                return collected([*self.of(node.left), *self.of(node.right)])
            case Subtract():
                return collected([*self.of(node.left), *opposite(self.of(node.right))])
            case Negate():
                return opposite(self.of(node.operand))
            case Multiply():
                both = ((node.left, node.right), (node.right, node.left))
                return collected(t for one, other in both for t in times(other, self.of(one)))
            case Divide():
                above = over(node.right, self.of(node.left))
                quotient = self.saved.get(node, node)
                return collected([*above, *opposite(over(node.right, times(quotient, self.of(node.right))))])
            case Product():
                return self.product(node)
            case Join():
                parts = tuple(map(self.of, node.operands))
                return (Term((Factor("stack", node, parts=parts),)),) if any(parts) else ()
            case Call():
                return self.call(node)
        return self.constant(node)

    def product(self, node: Product) -> Sum:
        self.constant(node.left)
        matrix = Factor("matrix", node.left)
        return tuple(Term((matrix, *term.factors), term.minus) for term in self.of(node.right))

    def constant(self, node: Node) -> Sum:
        """Nothing, of what reads no state."""
        for name in node.atoms(Name):
            if self.value(name.name):
                message = f"{node} changes with {self.state}, and only vectors have a Jacobian here"
                raise CellError(Finding("jacobian", message))
        return ()

    def call(self, node: Call) -> Sum:
        value = self.saved.get(node, node)
        if node.function == "identity":
            return self.of(node.tensors[0])
        if node.function in CONSTANT:
            return ()
        if node.function in ("mean", "layer_norm"):
            factor = Factor("mean") if node.function == "mean" else Factor("norm", node)
            return tuple(Term((factor, *term.factors), term.minus) for term in self.of(node.tensors[0]))
        sides = enumerate(node.tensors)
        return collected(t for side, z in sides for t in times(derivative(node, value, side), self.of(z)))


def _nodes(terms: Sum) -> int:
    """The largest size among the terms' nodes, up to the most that is allowed."""
    nodes = (factor.node for term in terms for factor in term.factors if factor.node is not None)
    return MOST_NODES + 1 if any(is_long(node, MOST_NODES) for node in nodes) else 0
