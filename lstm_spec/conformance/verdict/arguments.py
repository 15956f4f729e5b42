"""What someone is about to hand to a layer (x, h, c) held against what the layer derives, before a framework sees it.

Shapes: of an array, a tensor, or the shape itself; and the dtype, where the framework converts none. A swap that the
shapes show is named; one that they cannot show, because two sizes are the same number, is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import index
from typing import Any

from lstm_spec.conformance.recognition.loading import NARROWEST
from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.dialects import Dialect
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.layers.layer import Layer

Shape = tuple[int, ...]
Wanted = tuple[int | None, ...]  # None for a size that nothing says
STATES = ("h", "c")
Dtype = tuple[str, str]  # whose array it is, and what it holds
# Who converts no array: by dialect, of whose arrays, what it does, and what to write.
RAISING: dict[str, tuple[str, str, str]] = {
    "pytorch": (
        "torch",
        "PyTorch converts neither x nor a state to the dtype of the weights, and raises",
        "{}.to(torch.{})",
    ),
    "onnx": ("numpy", "ONNX Runtime converts no input to the dtype of the model, and raises", "{}.astype({!r})"),
}
BATCH_FIRST = "its first axis counts samples: batch_first moves x, never the state"


def shape_of(name: str, value: Any) -> Shape:
    """The shape of an array or tensor, or a shape as it is. Raises OptionError for what has none."""
    sizes = value if isinstance(value, tuple | list) else getattr(value, "shape", None)
    if isinstance(sizes, tuple | list) and any(isinstance(size, float | bool) for size in sizes):
        found = safe(tuple(sizes), 60)
        message = f"{name} has a size that is no whole number"
        raise OptionError(Finding("type", message, expected="an array, or a shape", found=found))
    try:
        shape = tuple(index(size) for size in sizes)  # type: ignore[union-attr]
    except TypeError:
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


def dtype_of(value: Any) -> Dtype:
    """Whose array it is, and its dtype: `("torch", "float32")`; both empty for a shape and for anything else."""
    package = type(value).__module__.partition(".")[0]
    package = {"jaxlib": "jax"}.get(package, package)
    own = package in ("torch", "numpy", "jax") and hasattr(value, "dtype")
    return (package, str(value.dtype).rpartition(".")[2]) if own else ("", "")


def hold_dtypes(given: dict[str, Dtype], reading: Reading, dtype: str, at: str) -> list[Finding]:
    """A finding for each of x, h and c that the framework would raise on, where the layer has one dtype.

    PyTorch and ONNX Runtime convert nothing. Keras, Equinox, MLX and tinygrad do, and so does JAX with NumPy's arrays.
    """
    if "," in dtype:
        return []
    if RAISING.get(reading.dialect.name):
        package, because, help = RAISING[reading.dialect.name]
        wrong = {name: found for name, (owner, found) in given.items() if owner == package and found != dtype}
        return [
            Finding("dtype", f"{name} is {found}", f"{at} : {name}", dtype, found, because, help.format(name, dtype))
            for name, found in wrong.items()
        ]
    said = reading.operator.attributes if reading.operator else {}
    return list(_hold_carry(given, dtype, said.get("dtype"), at)) if said.get("step") is False else []


def _hold_carry(given: dict[str, Dtype], dtype: str, computed: str | None, at: str) -> Iterator[Finding]:
    """What Flax's RNN raises on: its scan wants the carry to leave a step in the dtype that it came in.

    A step computes in the cell's own dtype, or in what x and the weights are promoted to; the carry joins that.
    """
    own = {name: found for name, (owner, found) in given.items() if owner == "jax" and found in NARROWEST}
    states = {name: own[name] for name in STATES if name in own}
    carry = [own.get(name, dtype) for name in STATES]
    inside = [computed] if computed else [dtype, own.get("x", dtype)]
    leaves = _promoted([*inside, *carry])
    because = f"a step of it leaves a carry of {leaves}, and the scan of nnx.RNN raises on another than came in"
    for name, found in states.items():
        if found != leaves:
            help = f"{name}.astype({leaves!r})"
            yield Finding("dtype", f"{name} is {found}", f"{at} : {name}", leaves, found, because, help)
    if len(states) < len(STATES) and dtype != leaves and "x" in own:
        help = f"x.astype({dtype!r}), or a whole initial carry of {leaves}"
        yield Finding("dtype", f"x is {own['x']}", f"{at} : x", dtype, own["x"], because, help)


def _promoted(dtypes: list[str]) -> str:
    """What JAX makes of them together: the widest, and float32 of the two halves."""
    halves = {"float16", "bfloat16"}
    return max([*dtypes, *["float32"] * (halves <= set(dtypes))], key=NARROWEST.index)


def hold_arguments(given: dict[str, Shape], reading: Reading, layer: Layer, at: str, facts: Dialect) -> list[Finding]:
    """A finding for each of x, h and c whose shape the layer cannot take, with what it looks like instead.

    `facts` is the dialect of the framework that they are handed to: which ranks it takes is its own.
    """
    return list(_Holder(given, reading, layer, at, facts).findings())


@dataclass(frozen=True, slots=True)
class _Holder:
    given: dict[str, Shape]
    reading: Reading
    layer: Layer
    at: str
    facts: Dialect

    def findings(self) -> Iterator[Finding]:
        x = self.given.get("x")
        problem = self._input_problem(x) if x is not None else None
        if problem:
            yield problem
        states = {name: self.given[name] for name in STATES if name in self.given}
        samples = None if x is None or problem else self._samples(x)
        for name, shape in states.items():
            others = [s for other, s in states.items() if other != name]
            known = samples if samples is not None else self._shared_samples(shape, others)
            yield from self._state_findings(name, shape, known, x, others)

    # ---- the input ----

    @property
    def _is_step(self) -> bool:
        """Whether it is a cell that takes one step: it says so, it is of a framework that has nothing else, or, as
        PyTorch's LSTMCell, its names have no `_l0`.
        """
        said = self.reading.operator.attributes if self.reading.operator else {}
        if "step" in said or not self.facts.ranks:
            return bool(said.get("step", True))
        matches = [self.reading.dialect.pattern.fullmatch(source) for source in self.reading.names.values()]
        numbered = "layer" in self.reading.dialect.pattern.groupindex
        return numbered and all(match and match["layer"] is None for match in matches)

    @property
    def _ranks(self) -> tuple[int, ...]:
        """Of x: with samples first, then of one sample."""
        return self.facts.step_ranks if self._is_step else self.facts.ranks

    @property
    def _axes(self) -> tuple[str, ...]:
        """The axes of x as the layer takes them, in its largest rank."""
        if self._is_step:
            return ("B", self._letter)[-max(self._ranks) :]
        return ("B", "T", self._letter) if self.layer.layout == "batch" else ("T", "B", self._letter)

    @property
    def _letter(self) -> str:
        return str(self.layer.cell.inputs[0].size[0])

    @property
    def _width(self) -> int:
        return int(self.layer.sizes[self._letter])

    def _input_problem(self, x: Shape) -> Finding | None:
        axes = ", ".join(self._axes[:-1])
        comma = ", " if axes else ""
        shown = f"({axes}{comma}{self._letter}{',' * (not axes)})"
        expected = f"{shown} = ({axes}{comma}{self._width}{',' * (not axes)})"
        if len(x) not in self._ranks and not (self.facts.more_axes and len(x) > max(self._ranks)):
            axis = "axis" if len(x) == 1 else "axes"
            return Finding("input", f"x has {len(x)} {axis}", f"{self.at} : x", expected, _written(x))
        if x[-1] == self._width:
            return None
        moved = [axis for axis, size in enumerate(x) if size == self._width]
        because = f"axis {moved[0]} of x is {self._letter} = {self._width} long: its axes look moved" if moved else ""
        return Finding("input", f"x is {x[-1]} wide", f"{self.at} : x", expected, _written(x), because)

    def _samples(self, x: Shape) -> Shape:
        """B; empty for one sample without a batch axis."""
        if self._is_step:
            return x[:-1]
        return x[:-2] if self.layer.layout == "batch" else x[1:-1]

    # ---- the states ----

    @property
    def _stands_alone(self) -> bool:
        """Whether a state is (B, width): Keras, and a cell alone."""
        return self.reading.dialect.states_apart or self._is_step

    @property
    def _leading(self) -> Shape:
        """The axis of a state that counts cells, if it has one."""
        return () if self._stands_alone else (len(self.layer.members),)

    def _shared_samples(self, shape: Shape, others: list[Shape]) -> Wanted:
        """B where x does not say it: that of another state; open where it does not either, or not there at all."""
        start = len(self._leading)
        counts = [rank - (1 if self._is_step else 2) for rank in self._ranks]
        for candidate in (*others, shape):
            samples = candidate[start:-1]
            if len(samples) in counts or (self.facts.more_axes and len(samples) > max(counts)):
                return samples if candidate is not shape else (None,) * len(samples)
        return (None,) * max(counts)

    def _state_findings(
        self, name: str, shape: Shape, samples: Wanted, x: Shape | None, others: list[Shape]
    ) -> Iterator[Finding]:
        width = int(self.layer.state_shapes()[f"{self.layer.members[0].prefix}.{name}"][0])
        wanted = (*self._leading, *samples, width)
        where, expected = f"{self.at} : {name}", self._told(wanted)
        if not _fits(shape, wanted):
            because, help = self._explain(name, shape, wanted, x, others)
            yield Finding("state", f"{name} does not fit", where, expected, _written(shape), because, help)
        elif not self._stands_alone and len(shape) == 3 and shape[0] == shape[1] > 1:
            yield Finding(
                "state-square",
                f"{name} has as many samples as the layer has cells, {shape[0]}",
                where,
                expected,
                because="a batch-first state has the same shape here, and would be taken in silence",
                help=f"be sure that the first axis of {name} counts cells, the second samples",
                severity="warning",
            )

    def _told(self, wanted: Wanted) -> str:
        start = len(self._leading)
        samples = ["B"] if len(wanted) == start + 2 else [f"B{i}" for i in range(1, len(wanted) - start)]
        letters = ["L·D"] * start + samples + ["width"]
        sizes = [letter if size is None else str(size) for letter, size in zip(letters, wanted, strict=True)]
        comma = "," * (len(letters) == 1)
        return f"({', '.join(letters)}{comma}) = ({', '.join(sizes)}{comma})"

    def _explain(
        self, name: str, shape: Shape, wanted: Wanted, x: Shape | None, others: list[Shape]
    ) -> tuple[str, str]:
        """What the shape looks like, and what to do: the axes of the state turned, those of x swapped, or both."""
        has_cells = not self._stands_alone and len(shape) == len(wanted) == 3
        turned = (shape[1], shape[0], shape[2]) if has_cells else None
        swapped = self._with_samples_of_steps(wanted, x)
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

    def _with_samples_of_steps(self, wanted: Wanted, x: Shape | None) -> Wanted | None:
        """What would be wanted if the steps of x were its samples."""
        if x is None or len(x) != 3 or self._is_step:
            return None
        return (*self._leading, x[0 if self.layer.layout == "time" else 1], wanted[-1])


def _fits(shape: Shape, wanted: Wanted) -> bool:
    return len(shape) == len(wanted) and all(w in (None, s) for w, s in zip(wanted, shape, strict=True))


def _written(shape: Shape) -> str:
    return str(tuple(shape))
