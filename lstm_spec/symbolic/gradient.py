"""A cell → the cell of its backward pass, by reverse mode over the equations, from the last computed to the first.

Its inputs are values that the forward step saved (`c'` among them) and `d_y`, the gradient of the output; its states
`d_h`, `d_c` are the gradients that arrive from later steps; its totals `d_W += …` are summed over time and batch; its
output `d_x` is the gradient of the input. `e_c` is the whole gradient of c' in this step, `d_f` that of what stands
inside f's function. It is run in reverse time. Holds no sizes but letters, and saves nothing that no equation names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lstm_spec.errors import CellError, Finding
from lstm_spec.symbolic.cell import Cell, Declaration, Equation
from lstm_spec.symbolic.gradient_names import GradientNames, lengthen, name_gradients
from lstm_spec.symbolic.operations import total_operations
from lstm_spec.symbolic.printing import size_text
from lstm_spec.symbolic.reverse import Backward
from lstm_spec.symbolic.shapes import infer


@dataclass(frozen=True)
class BackwardPass:
    """A cell, its backward cell, and what that calls each gradient."""

    forward: Cell
    backward: Cell
    names: GradientNames

    def to_dict(self) -> dict[str, Any]:
        """For JSON: both cells as text, the shape of each name of the backward cell, and the gradients' names."""
        shapes = infer(self.backward)
        return {
            "cell": str(self.forward),
            "gradient": str(self.backward),
            "shapes": {name: [size_text(s, self.forward.letters) for s in shapes[name].size] for name in shapes},
            "operations": {kind: str(count) for kind, count in total_operations(self.backward).items()},
            "names": {role: dict(getattr(self.names, role)) for role in ("outputs", "parameters", "inputs", "states")},
        }


def derive_backward(cell: Cell) -> BackwardPass:
    """The backward pass with its names. Raises what `differentiate` raises."""
    return BackwardPass(cell, differentiate(cell), name_gradients(cell))


def differentiate(cell: Cell) -> Cell:
    """The backward pass of one step, as a cell.

    >>> from lstm_spec.symbolic.language import parse
    >>> print(differentiate(parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h + b)")))
    input x[n], h[k], h'[k], d_y[k]
    state d_h[k]
    let d_x[n]
    output d_x
    <BLANKLINE>
    e_h  = d_h + d_y
    d_h1 = e_h * (1 - h' * h')
    d_W  += d_h1 x^T
    d_U  += d_h1 h^T
    d_b  += d_h1
    d_x  = W^T d_h1
    d_h' = U^T d_h1

    Raises CellError `gradient` for a cell with totals: their gradients have no step of their own.
    """
    return _differentiated(cell, str(cell))


@lru_cache(maxsize=256)
def _differentiated(cell: Cell, text: str) -> Cell:
    """The text takes part because equal cells may be written differently, and the answer shows it."""
    for equation in cell.equations:
        if equation.total:
            message = f"{equation.left} is a total, and a total has no gradient here"
            raise CellError(Finding("gradient", message, at=cell.at(equation)))
    backward = Backward(cell)
    equations = backward.run()
    if backward.unread(equations):
        backward = Backward(cell, keep=True)  # step(z) hides them: `0 * …` reads them
        equations = backward.run()
    return _assembled(cell, backward.names, equations, backward.parts)


def _assembled(cell: Cell, named: GradientNames, equations: list[Equation], parts: Mapping[str, str]) -> Cell:
    """The equations with what they need: saved values in the cell's order, states, and the shapes left open."""
    shapes = infer(cell)
    read = {name for e in equations for name in e.reads}

    def declared(name: str, value: str) -> Declaration:
        size = shapes[value].size
        letters = ({str(s) for s in part.free_symbols} for part in size)
        return Declaration(name, size, order=tuple(n for part in letters for n in cell.letters if n in part))

    inputs = [declared(n, n) for n, role in cell.roles.items() if role != "parameter" and n in read]
    inputs += [declared(d, cell.value_of(o)) for o, d in named.outputs.items()]
    states = tuple(declared(d, s) for s, d in named.states.items())
    lets = tuple(declared(d, i) for i, d in named.inputs.items())
    about = f"The backward pass of {cell.description}" if cell.description else ""

    def made(stated: Iterable[Declaration]) -> Cell:
        outputs = tuple(named.inputs.values())
        return Cell(tuple(inputs), states, tuple(equations), tuple(stated), outputs, description=about)

    defined = {target for e in equations for target in e.targets}
    whole = {f"{lengthen(cell, 'e_')}{d.name}": d.name for d in cell.lets} | dict(parts)
    wide = [*lets, *(declared(e, name) for e, name in whole.items() if e in defined)]
    parameters = [declared(n, n) for n in cell.parameters if n in read]
    for stated in (lets, wide):  # more only where a size is one that the forward equations alone tell
        try:
            infer(plain := made(stated))
        except CellError:
            continue
        return plain
    return made([*wide, *parameters])


__all__ = ["BackwardPass", "GradientNames", "derive_backward", "differentiate", "name_gradients"]
