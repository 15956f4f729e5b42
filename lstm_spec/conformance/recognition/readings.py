"""A reading, as a value: some tensors taken for one recurrent layer, its sizes still open; and where things are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lstm_spec.dialects import Dialect
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Operator, Tensors

Shape = tuple[int, ...]
KINDS = {"RNN": "simple RNN"}  # what people call an operator's kind
WRITTEN_OUT = (
    "direction = forward: nodes that write a cell out are not asked which way they walk the time",
    "initial state = zeros: they are not asked what they begin with",
)


def place(tensors: Tensors, *inside: str) -> str:
    """Where something is: `model.npz : encoder : weight_ih_l0`; a layer without a prefix is the file itself."""
    return " : ".join(safe(part) for part in (tensors.origin, *(p for p in inside if p != tensors.origin)))


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read some tensors: the layer with open sizes, and for each of the dialect's names the source's.

    `constants` are further tensors with a known shape in letters, such as a constant initial state. `problems` are
    options of the source that the layer lacks: its shapes can be held against it then, its numbers cannot. `assumed`
    is what decided between this reading and others, where no tensor can.
    """

    where: str
    dialect: Dialect
    layer: Layer
    names: Mapping[str, str]
    operator: Operator | None = None
    constants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Finding, ...] = ()
    assumed: tuple[str, ...] = ()

    def source_name(self, own: str) -> str:
        """What the source calls one of the dialect's tensors; for a missing one, what it would call it."""
        if own in self.names:
            return self.names[own]
        for known, source in self.names.items():
            if source.endswith(known):
                return source.removesuffix(known) + own
        if wanted := self.dialect.pattern.fullmatch(own):
            cell = self._cell(own)
            neighbours = sorted(self.names.items(), key=lambda item: self._cell(item[0]) != cell)
            for _, source in neighbours:  # `cell.weight_ih`, `lstm/kernel:0`: the rest of the name stays
                if match := self.dialect.pattern.fullmatch(source):
                    start, end = match.span("tensor")
                    return source[:start] + wanted["tensor"] + source[end:]
        return own

    def _cell(self, own: str) -> tuple[str | None, str | None]:
        """The layer and direction in one of the dialect's names."""
        match = self.dialect.pattern.fullmatch(own)
        parts = match.groupdict() if match else {}
        return parts.get("layer"), parts.get("reverse")


@dataclass(frozen=True, slots=True)
class Unread(Finding):
    """What recurs and is in no reading: where it stands, what it is if that is known ("GRU"), its tensors' shapes."""

    where: str = ""
    kind: str = ""
    shapes: tuple[tuple[str, Shape], ...] = ()


@dataclass(frozen=True, slots=True)
class Recognized:
    """Every reading, what was not read, and the tensors that are in no recurrent layer and no finding."""

    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]
    other: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing recurrent was found, and nothing that may be: no reading, and findings of files alone."""
        return not self.readings and all(f.severity == "note" or is_of_files(f) for f in self.findings)


def is_of_files(finding: Finding) -> bool:
    """Whether it tells how a model lies in its files, and nothing of what is in them."""
    return finding.severity != "error" and finding.code in ("index", "no-lstm")


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """Where a layer stands in the order of its source: in which run, and its number through all runs.

    `behind`, `wired` and `listed` are those of the source's `Flow`.
    """

    run: int
    number: int
    behind: int = field(default=0, compare=False)
    wired: bool = field(default=True, compare=False)
    listed: bool = field(default=False, compare=False)

    def follows(self, other: Turn) -> bool:
        """Whether it sees what the other puts out."""
        return bool(self.behind >> other.number & 1)


def find_turns(readings: Collection[Reading], tensors: Tensors) -> dict[str, Turn]:
    """By its place, the turn of each layer that has an order; one that stands by itself beside others has none."""
    flow = tensors.flow
    placed = [(run, where) for run, places in enumerate(flow.runs) for where in places]
    turns = {
        where: Turn(run, number, flow.behind.get(where, 0), flow.wired, flow.listed)
        for number, (run, where) in enumerate(placed)
    }
    own = {reading.where: reading.operator.where if reading.operator else reading.where for reading in readings}
    found = {where: turns[place] for where, place in own.items() if place in turns}
    sizes = Counter(turn.run for turn in found.values())
    return {where: turn for where, turn in found.items() if sizes[turn.run] > 1 or len(readings) == 1}


def assumptions(reading: Reading, layer: Layer, tensors: Tensors) -> tuple[str, ...]:
    """The options that nobody said: a live layer says all, and an ONNX node is defined where it does not say one.

    Nodes that write a cell out are read one step at a time.
    """
    operator = reading.operator
    if operator and operator.kind == "LSTM cell":
        return WRITTEN_OUT
    if operator and (tensors.format == "onnx" or tensors.live is not None):
        return ()
    said = operator.attributes if operator else {}
    own = (text for text in reading.dialect.assumptions(layer) if text.partition(" = ")[0] not in said)
    return (*own, *reading.assumed)
