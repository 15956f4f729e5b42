"""What someone is about to hand to a layer (x, h, c) held against what the layer derives, before a framework sees it.

Shapes: of an array, a tensor, or the shape itself; and of PyTorch's tensors the dtype. A swap that the shapes show is
named; one that they cannot show, because two sizes are the same number, is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lstm_spec.conformance.readings import Reading
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.layer import Layer

Shape = tuple[int, ...]
Wanted = tuple[int | None, ...]  # None for a size that nothing says
STATES = ("h", "c")
BATCH_FIRST = "its first axis counts samples: batch_first moves x, never the state"


def shape_of(name: str, value: Any) -> Shape:
    """The shape of an array or tensor, or a shape as it is. Raises OptionError for what has none."""
    sizes = value if isinstance(value, tuple | list) else getattr(value, "shape", None)
    try:
        shape = tuple(int(size) for size in sizes)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        kind = safe(type(value).__name__, 40)
        help = "one array each: check(layer, x, h, c)" if isinstance(value, tuple | list) else ""
        raise OptionError(
            Finding("type", f"{name} has no shape", expected="an array, or a shape", found=kind, help=help)
        ) from None
    if min(shape, default=0) < 0:
        raise OptionError(
            Finding("type", f"{name} has a size below 0", expected="sizes of 0 and more", found=str(shape))
        )
    return shape


def dtype_of(value: Any) -> str:
    """The dtype of a PyTorch tensor, as `float32`; "" of anything else: arrays are converted on their way."""
    own = type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "dtype")
    return str(value.dtype).rpartition(".")[2] if own else ""


def hold_dtypes(given: dict[str, str], dtype: str, at: str) -> list[Finding]:
    """A finding for each of x, h and c that PyTorch would refuse: it converts nothing.

    An answer only where the layer has one dtype.
    """
    because = "PyTorch converts neither x nor a state to the dtype of the weights, and raises"
    return [
        Finding("dtype", f"{name} is {found}", f"{at} : {name}", dtype, found, because, f"{name}.to(torch.{dtype})")
        for name, found in given.items()
        if found and "," not in dtype and found != dtype
    ]


def hold_arguments(given: dict[str, Shape], reading: Reading, layer: Layer, at: str) -> list[Finding]:
    """A finding for each of x, h and c whose shape the layer cannot take, with what it looks like instead."""
    return list(_Holder(given, reading, layer, at).findings())


@dataclass(frozen=True, slots=True)
class _Holder:
    given: dict[str, Shape]
    reading: Reading
    layer: Layer
    at: str

    def findings(self) -> Iterator[Finding]:
        x = self.given.get("x")
        problem = self._input_problem(x) if x is not None else None
        if problem:
            yield problem
        states = {name: self.given[name] for name in STATES if name in self.given}
        batch = None if x is None or problem else self._batch(x)
        for name, shape in states.items():
            others = [s for other, s in states.items() if other != name]
            yield from self._state_findings(name, shape, batch or _shared_batch(others, self._batch_axis), x, others)

    # ---- the input ----

    @property
    def _axes(self) -> tuple[str, ...]:
        """The axes of x as the layer takes them; a cell alone takes one step."""
        if self._is_step:
            return ("B", "n")
        return ("B", "T", "n") if self.layer.layout == "batch" else ("T", "B", "n")

    @property
    def _is_step(self) -> bool:
        """Whether the tensors are those of a cell without a time axis: PyTorch's LSTMCell has no `_l0`."""
        matches = [self.reading.dialect.pattern.fullmatch(source) for source in self.reading.names.values()]
        numbered = "layer" in self.reading.dialect.pattern.groupindex
        return numbered and all(match and match["layer"] is None for match in matches)

    @property
    def _width(self) -> int:
        (rows,) = self.layer.cell.inputs[0].size
        return int(self.layer.sizes[str(rows)])

    def _input_problem(self, x: Shape) -> Finding | None:
        letter = str(self.layer.cell.inputs[0].size[0])
        axes = ", ".join(self._axes[:-1])
        expected = f"({axes}, {letter}) = ({axes}, {self._width})"
        if len(x) not in (len(self._axes), 2):
            return Finding("input", f"x has {len(x)} axes", f"{self.at} : x", expected, _written(x))
        if x[-1] == self._width:
            return None
        moved = [axis for axis, size in enumerate(x) if size == self._width]
        because = f"axis {moved[0]} of x is {letter} = {self._width} long: its axes look moved" if moved else ""
        return Finding("input", f"x is {x[-1]} wide", f"{self.at} : x", expected, _written(x), because)

    def _batch(self, x: Shape) -> int | None:
        """B; None for one sample without a batch axis."""
        return x[self._axes.index("B")] if len(x) == len(self._axes) else None

    # ---- the states ----

    @property
    def _batch_axis(self) -> int:
        return 0 if self._stands_alone else 1

    @property
    def _stands_alone(self) -> bool:
        """Whether a state is (B, width): Keras, and a cell alone."""
        return self.reading.dialect.states_apart or self._is_step

    def _state_findings(
        self, name: str, shape: Shape, batch: int | None, x: Shape | None, others: list[Shape]
    ) -> Iterator[Finding]:
        members = len(self.layer.members)
        width = int(self.layer.state_shapes()[f"{self.layer.members[0].prefix}.{name}"][0])
        unbatched = x is not None and len(x) == 2 and not self._is_step
        leading: tuple[int | None, ...] = () if self._stands_alone else (members,)
        wanted = (*leading, width) if unbatched else (*leading, batch, width)
        where, expected = f"{self.at} : {name}", self._told(wanted)
        if not _fits(shape, wanted):
            because, help = self._explain(name, shape, wanted, x, others)
            yield Finding("state", f"{name} does not fit", where, expected, _written(shape), because, help)
        elif len(shape) == 3 and shape[0] == shape[1] > 1:
            yield Finding(
                "state-square",
                f"{name} has as many samples as the layer has cells, {members}",
                where,
                expected,
                because="a batch-first state has the same shape here, and would be taken in silence",
                help=f"be sure that the first axis of {name} counts cells, the second samples",
                severity="warning",
            )

    def _told(self, wanted: Wanted) -> str:
        letters = {1: "(width,)", 2: "(B, width)", 3: "(L·D, B, width)"}[len(wanted)]
        if len(wanted) == 2 and not self._stands_alone:
            letters = "(L·D, width)"
        return f"{letters} = ({', '.join('B' if size is None else str(size) for size in wanted)})"

    def _explain(
        self, name: str, shape: Shape, wanted: Wanted, x: Shape | None, others: list[Shape]
    ) -> tuple[str, str]:
        """What the shape looks like, and what to do: the axes of the state turned, those of x swapped, or both."""
        turned = (shape[1], shape[0], shape[2]) if len(shape) == len(wanted) == 3 else None
        swapped = self._with_batch(wanted, x)
        read_as = f"x is read as ({', '.join(self._axes)}); the layer's layout is {self.layer.layout!r}"
        if turned and _fits(turned, wanted):
            return BATCH_FIRST, f"{name}.transpose(0, 1)"
        if swapped and _fits(shape, swapped):
            return f"{name} has as many samples as x has steps: batch and time of x look swapped", read_as
        if turned and swapped and _fits(turned, swapped):
            return f"{BATCH_FIRST}; and it has as many samples as x has steps", read_as
        if shape[-1:] != wanted[-1:] and any(other[-1:] == wanted[-1:] for other in others):
            return "the other state has that width: h and c look swapped", ""
        return "", ""

    def _with_batch(self, wanted: Wanted, x: Shape | None) -> Wanted | None:
        """What would be wanted if the steps of x were its samples."""
        if x is None or len(x) != 3:
            return None
        return tuple(x[self._axes.index("T")] if axis == self._batch_axis else s for axis, s in enumerate(wanted))


def _fits(shape: Shape, wanted: Wanted) -> bool:
    return len(shape) == len(wanted) and all(w in (None, s) for w, s in zip(wanted, shape, strict=True))


def _shared_batch(others: list[Shape], axis: int) -> int | None:
    """The batch of another state, where x does not say it."""
    return next((shape[axis] for shape in others if len(shape) > axis + 1), None)


def _written(shape: Shape) -> str:
    return str(tuple(shape))
