"""A cell, with sizes, a stack, directions and a layout: the thing that is specified, run and checked.

Comes in: a `Cell` and what people choose. Goes out: the shape of every tensor that the layer holds, takes and
returns. Computes nothing itself; `compiler.lower` turns a layer into a program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from sympy import Integer

from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, OptionError, SizeError, safe
from lstm_spec.layers.options import (
    CHOICES,
    Direction,
    Layout,
    Merge,
    Output,
    Padding,
    hold_choices,
    hold_letters,
    hold_merge,
    read_layers,
)
from lstm_spec.layers.sizes import bind_sizes, symbols
from lstm_spec.symbolic.cell import Cell, Role
from lstm_spec.symbolic.counts import factored
from lstm_spec.symbolic.printing import size_text
from lstm_spec.symbolic.shapes import Shapes, infer

if TYPE_CHECKING:
    from lstm_spec.layers.cost import Cost
    from lstm_spec.layers.described import LayerShapes
    from lstm_spec.layers.weights import Weights


@dataclass(frozen=True, slots=True)
class Member:
    """One cell of a layer: which of the stack, which direction, and its own sizes.

    `prefix` stands before its tensors' names: `l0`, `l0.reverse`.
    """

    index: int
    reverse: bool
    sizes: Mapping[str, Any]

    @property
    def prefix(self) -> str:
        """`l0`, or `l0.reverse`."""
        return f"l{self.index}.reverse" if self.reverse else f"l{self.index}"


@dataclass(frozen=True, init=False)
class Layer(Displayed):
    """A recurrent layer.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> layer = Layer(lstm_cell(), n=5, k=10)
    >>> layer.parameter_count
    640

    `layers` cells stand on each other, each reading the output of the one below; `direction` "both" runs one cell
    each way and joins their outputs; `layout` "time" is `x (T, B, n)`, "batch" is `(B, T, n)`; `output` "last" returns
    the last step only. A reverse cell's output is put back into the order of the input unless `realign` is False.
    `merge` says how the outputs of two directions become y: joined, added, multiplied, averaged, or kept apart on an
    axis of their own, `y (T, D, B, k)`. `padding` says what y is after the end of a sequence shorter than T, and where
    a mask is False: 0, the output before, or what a cell that keeps running puts out (Flax); the states that come back
    are those of the last step that is there.
    Sizes are integers, letters or symbols; one not given stays a letter.

    Raises SizeError and OptionError for what is no size or no choice, CellError where the equations do not fit.
    """

    cell: Cell
    given: tuple[tuple[str, Any], ...]
    layers: int
    direction: Direction
    layout: Layout
    output: Output
    realign: bool
    merge: Merge
    padding: Padding

    def __init__(
        self,
        /,
        cell: Cell,
        *sizes: Any,
        layers: int = 1,
        direction: Direction = "forward",
        layout: Layout = "time",
        output: Output = "sequence",
        realign: bool = True,
        merge: Merge = "concat",
        padding: Padding = "zero",
        **named: Any,
    ) -> None:
        if not isinstance(cell, Cell):
            hint = f"lstm_spec.cells.get({cell!r})" if isinstance(cell, str) else "lstm_spec.parse(text)"
            raise OptionError(Finding("type", f"{safe(repr(cell), 40)} is no cell", help=safe(hint, 60)))
        chosen = {"direction": direction, "layout": layout, "output": output, "merge": merge, "padding": padding}
        hold_choices(chosen, realign)
        count = read_layers(layers)
        hold_letters(cell)
        bound = tuple(bind_sizes(cell, sizes, named).items())
        fields: dict[str, Any] = {"cell": cell, "given": bound, "layers": count, "realign": realign, **chosen}
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        self._hold_sequences()
        hold_merge(merge, padding, direction, count)
        _ = self.members

    def _hold_sequences(self) -> None:
        """One input sequence, and vectors in and out: what is joined, stacked and laid out over time."""
        inputs = self.cell.inputs
        if len(inputs) != 1:
            found = ", ".join(d.name for d in inputs) or "none"
            counted = "a backward cell is no layer; lstm-spec gradients --cost counts it by its forward cell"
            help = counted if any(e.total for e in self.cell.equations) else ""
            raise OptionError(Finding("inputs", "a layer feeds its cell one input sequence", found=found, help=help))
        for name in (inputs[0].name, *map(self.cell.value_of, self.cell.outputs)):
            if self.shapes_of_cell[name].is_matrix:
                shape = self.shapes_of_cell.text(name)
                message = f"{name} is a matrix; the sequences of a layer are of vectors"
                raise OptionError(Finding("matrix", message, found=f"{name} is {shape}"))

    @property
    def sizes(self) -> Mapping[str, Any]:
        """The size given for each letter of the cell: an `Integer`, or a letter that is still open."""
        return dict(self.given)

    @cached_property
    def shapes_of_cell(self) -> Shapes:
        """The inferred shapes of the cell, in its own letters."""
        return infer(self.cell)

    @property
    def directions(self) -> int:
        """D, the number of cells that read each layer's input."""
        return 2 if self.direction == "both" else 1

    @property
    def width(self) -> Any:
        """Rows of one cell's output, in the given sizes."""
        rows = (self.shapes_of_cell[self.cell.value_of(name)].rows for name in self.cell.outputs)
        return sum(rows, Integer(0)).xreplace(symbols(self.sizes))

    @property
    def output_width(self) -> Any:
        """The width of y: D times that of one cell where directions are joined, else that of one."""
        return self.directions * self.width if self.merge == "concat" else self.width

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Every cell of the layer, in the order of the tensors: layer by layer, forward then reverse."""
        return tuple(self._members())

    def _members(self) -> Iterator[Member]:
        reverses = {"forward": (False,), "reverse": (True,), "both": (False, True)}[self.direction]
        above = self._upper_sizes if self.layers > 1 else {}
        for index in range(self.layers):
            sizes = dict(self.given) if index == 0 else above
            yield from (Member(index, reverse, sizes) for reverse in reverses)

    @cached_property
    def _upper_sizes(self) -> dict[str, Any]:
        """The sizes above the first layer: the input there is the output below, D·width wide."""
        declared = self.cell.inputs[0]
        rows = declared.size[0]
        below = self.output_width
        if rows.is_Symbol and all(str(rows) not in map(str, d.size) for d in self.cell.states + self.cell.lets):
            return dict(self.given) | {str(rows): below}
        if rows.xreplace(symbols(self.sizes)) == below:
            return dict(self.given)
        raise OptionError(
            Finding(
                "stack",
                "this cell cannot stand on itself",
                because=f"its input is {declared}, and the output below is {size_text(below, self.cell.letters)} wide",
                help="use one layer, or a cell whose input has a size of its own",
            )
        )

    def parameter_shapes(self) -> dict[str, tuple[Any, ...]]:
        """Every parameter, `l0.W_f` → `(k, n)`, in the order of the equations, layer by layer."""
        return {f"{m.prefix}.{name}": shape for m in self.members for name, shape in self._sized(m, "parameter")}

    def state_shapes(self) -> dict[str, tuple[Any, ...]]:
        """Every state, `l0.h` → `(k,)`; an array of it is (B, k)."""
        return {f"{m.prefix}.{name}": shape for m in self.members for name, shape in self._sized(m, "state")}

    def _sized(self, member: Member, role: Role) -> Iterator[tuple[str, tuple[Any, ...]]]:
        at = symbols(member.sizes)
        for name, shape in self.shapes_of_cell.of(role).items():
            yield name, tuple(size.xreplace(at) for size in shape.size)

    def parameter_counts(self) -> dict[str, Any]:
        """Parameters by name, over the whole layer: `l0.W_f` → `k*n`."""
        return {name: prod(shape, start=Integer(1)) for name, shape in self.parameter_shapes().items()}

    @cached_property
    def parameter_count(self) -> Any:
        """All parameters: the sum over the derived shapes, factored."""
        one = sum((shape.rows * shape.columns for shape in self.shapes_of_cell.of("parameter").values()), Integer(0))
        first, above = (one.xreplace(symbols(self.members[place].sizes)) for place in (0, -1))
        return factored(self.directions * (first + (self.layers - 1) * above))

    @cached_property
    def open_letters(self) -> tuple[str, ...]:
        """The letters that no number was given for, in the cell's order."""
        found = [str(s) for size in self.sizes.values() for s in size.free_symbols]
        return tuple(dict.fromkeys(found))

    def at(self, /, **sizes: Any) -> Layer:
        """The same layer with numbers (or other letters) for some of its open letters.

        >>> from lstm_spec.cells.family import lstm_cell
        >>> Layer(lstm_cell()).at(n=5, k=10).parameter_count
        640

        A letter is one that was given, or the cell's own. Raises SizeError for a letter that is not open.
        """
        for name in sizes:
            if name not in self.open_letters:
                is_open = ", ".join(self.open_letters) or "none: every size is a number"
                raise SizeError(Finding("size", f"the layer has no open size {safe(name, 40)}", expected=is_open))
        new = {name: sizes.get(str(old), old) for name, old in self.given}
        return self.with_(**new)

    def with_(self, /, **changes: Any) -> Layer:
        """The same layer with other options or sizes, e.g. `layer.with_(layout="batch")`."""
        options = {name: getattr(self, name) for name in ("layers", "realign", *CHOICES)}
        cell = changes.pop("cell", self.cell)
        kept = {name: value for name, value in self.given if name in cell.letters}
        return Layer(cell, **(options | kept | changes))

    def shapes(self, batch: Any = None, time: Any = None) -> LayerShapes:
        """Every tensor with its shape in letters and in the given sizes; `batch` and `time` may be numbers too."""
        from lstm_spec.layers.described import describe_layer

        return describe_layer(self, batch, time)

    def cost(
        self, batch: Any = None, time: Any = None, lengths: Sequence[int] | None = None, dtype: str = "float32"
    ) -> Cost:
        """Operations, bytes and arithmetic intensity, each as a polynomial and in the given sizes.

        >>> from lstm_spec.cells.family import lstm_cell
        >>> Layer(lstm_cell(), n=64, k=64).cost(batch=1, time=100)["macs"].count
        3276800

        Raises SizeError for what is no batch, time or lengths, OptionError for a dtype that has no size.
        """
        from lstm_spec.layers.cost import describe_cost

        return describe_cost(self, batch, time, lengths, dtype)

    def random(self, seed: int, dtype: Any = "float64") -> Weights:
        """Weights uniform in ±1/√k, k the rows of the last state, as PyTorch draws them; the same for the same seed.

        Raises SizeError when a size is still a letter, TensorError for a dtype that is not float32 or float64.
        """
        from lstm_spec.layers.weights import draw_weights

        return draw_weights(self, seed, dtype)

    def __str__(self) -> str:
        sizes = ", ".join(f"{name} = {value}" for name, value in self.given)
        extras = [f"{self.layers} layers"] * (self.layers > 1) + [self.direction] * (self.direction != "forward")
        return f"layer with {', '.join([sizes, *extras])}\n{self.cell}"
