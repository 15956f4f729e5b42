"""Names → groups → readings: the tensors under one prefix that bear one dialect's names are one layer.

A prefix ends where a dialect's pattern says, at a dot or a slash; or, `enc_weight_ih_l0`, at an underscore, where what
follows is a name that nothing but a recurrent layer has, or the dialect was asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.conformance.recognition.live_options import read_options
from lstm_spec.conformance.recognition.numbered import LAYER_SAYS, Key, number_cells
from lstm_spec.conformance.recognition.operators import apply_live_options
from lstm_spec.conformance.recognition.other_cells import other_cell
from lstm_spec.conformance.recognition.readings import KINDS, Reading, place
from lstm_spec.conformance.recognition.solving import solve
from lstm_spec.dialects import DIALECTS, Dialect, Packing
from lstm_spec.dialects.facts import Facts
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.options import Direction
from lstm_spec.layers.tensors import Tensors

LONGEST = 1000  # of a name that is tried
# The names of a recurrent matrix that say so themselves, behind whatever is joined to them.
JOINED = re.compile(r"(?s)(?P<before>.*_)(?:weight_hh(?:_l\d+(?:_reverse)?)?|recurrent_kernel(?::0)?)")


@dataclass(frozen=True, slots=True)
class Group:
    """The tensors under one prefix with one dialect's names; `doubles` would stand where another one stands."""

    prefix: str
    dialect: Dialect
    found: dict[Key, str] = field(default_factory=dict)
    doubles: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> set[str]:
        """Which kinds of tensors there are."""
        return {kind for kind, _, _ in self.found}

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the source, without the doubles."""
        return tuple(self.found.values())

    @property
    def where(self) -> str:
        """The place of the layer: its prefix without what separates it; empty where there is none."""
        if self.dialect.separator == "_":
            return self.prefix.removesuffix("_")
        return self.prefix.rstrip("./_" if self.is_joined else "./")

    @property
    def is_joined(self) -> bool:
        """Whether the prefix ends in the middle of a name."""
        return self.prefix.endswith("_") and not any(map(self.dialect.pattern.fullmatch, self.names))

    @property
    def is_recurrent(self) -> bool:
        """Whether a recurrent matrix is among them: what is enough where the dialect is named."""
        return bool(self.dialect.recurrent & self.kinds)

    @property
    def is_claimed(self) -> bool:
        """Whether the names alone say that these tensors are a layer in this dialect."""
        claims, said = self.dialect.claims, self.dialect.said
        whole = self.is_recurrent if claims is None else bool(claims) and claims <= self.kinds
        return whole and (said is None or bool(said.fullmatch(self.prefix)))

    def without(self, taken: Set[str]) -> Group:
        """The group of those that are not taken."""
        left = {key: name for key, name in self.found.items() if name not in taken}
        return Group(self.prefix, self.dialect, left, [name for name in self.doubles if name not in taken])


def group_names(names: Iterable[str], dialect: Dialect, joined: Set[str] = frozenset()) -> tuple[Group, ...]:
    """The names that the dialect's pattern recognizes, by their prefix; behind one of `joined` too."""
    groups: dict[str, Group] = {}
    for name in names:
        if (found := _match(name, dialect, joined)) is None:
            continue
        prefix, match = found
        parts = match.groupdict()
        group = groups.setdefault(prefix, Group(prefix, dialect))
        key = (dialect.kind(match), int(parts.get("layer") or 0), bool(parts.get("reverse")))
        if key in group.found:
            group.doubles.append(name)
        else:
            group.found[key] = name
    return tuple(groups.values())


def _match(name: str, dialect: Dialect, joined: Set[str]) -> tuple[str, re.Match[str]] | None:
    if match := dialect.pattern.fullmatch(name):
        return match["prefix"], match
    return next(_ends(name, dialect, joined), None) if joined else None


def _ends(name: str, dialect: Dialect, joined: Set[str] | None = None) -> Iterator[tuple[str, re.Match[str]]]:
    """Every way to read a name as a prefix (one of `joined`) up to an underscore, and a name of the dialect."""
    for at in (at for at, sign in enumerate(name[:LONGEST], 1) if sign == "_"):
        if joined is not None and name[:at] not in joined:
            continue
        if (match := dialect.pattern.fullmatch(name[at:])) and not match["prefix"]:
            yield name[:at], match


def ask_names(names: Collection[str], dialect: Dialect) -> tuple[Group, ...]:
    """The groups with a recurrent matrix, in the dialect that was asked for."""
    joined = {
        prefix
        for name in names
        if not dialect.pattern.fullmatch(name)
        for prefix, match in _ends(name, dialect)
        if dialect.kind(match) in dialect.recurrent
    }
    return tuple(group for group in group_names(names, dialect, joined) if group.is_recurrent)


def claim_names(names: Collection[str], dialects: Iterable[Dialect]) -> tuple[Group, ...]:
    """The groups that names alone decide. Where two dialects could read a tensor, the one that reads more of its
    neighbours does: `weight_ih, weight_hh, bias` is Equinox, with `bias_ih, bias_hh` beside them it is PyTorch.
    """
    joined = {match["before"] for name in names if (match := JOINED.fullmatch(name))}
    claimed = [group for dialect in dialects for group in group_names(names, dialect, joined) if group.is_claimed]
    taken: set[str] = set()
    kept: dict[int, Group] = {}
    for number, group in sorted(enumerate(claimed), key=lambda pair: -len(pair[1].found)):
        left = group.without(taken)
        if left.is_claimed:
            kept[number] = left
            taken |= set(left.names)
    return tuple(kept[number] for number in sorted(kept))


def read_fitting(group: Group, tensors: Tensors) -> Reading | Finding:
    """The group as one layer. Where its names are another dialect's too, and mean another layout there, the shapes
    decide; where both fit, the reading stays and says so.
    """
    reading = read_group(group, tensors)
    if isinstance(reading, Finding) or reading.operator or tensors.live is not None:
        return reading
    others = list(_of_same_names(group, tensors))
    if not others:
        return reading
    fitting = [other for other in others if not solve(other, tensors).findings]
    if solve(reading, tensors).findings:
        if len(fitting) != 1:
            return reading
        (other,) = fitting
        words = f"as {other.dialect.name}; {group.dialect.name} has the same names and other shapes"
        return replace(other, assumed=(words,))
    return replace(reading, assumed=tuple(_told_apart(group.dialect, other.dialect) for other in fitting))


def _of_same_names(group: Group, tensors: Tensors) -> Iterator[Reading]:
    """The readings of the same tensors in dialects that have these names and lay the numbers out in another way."""
    for dialect in DIALECTS.values():
        if dialect is group.dialect or (dialect.said and not dialect.said.fullmatch(group.prefix)):
            continue
        joined = {group.prefix} if group.is_joined else frozenset[str]()
        for other in group_names(group.names, dialect, joined):
            if set(other.names) == set(group.names) and other.is_recurrent and _layout(other) != _layout(group):
                reading = read_group(other, tensors)
                if isinstance(reading, Reading):
                    yield reading


def _layout(group: Group) -> dict[str, object]:
    """By name, where the numbers lie in each tensor, and what every cell of the dialect has besides."""
    packings = {packing.name: replace(packing, name="", option=None) for packing in group.dialect.packings}
    placed: dict[str, object] = {name: packings[kind] for (kind, _, _), name in group.found.items() if kind in packings}
    return placed | {"": dict(group.dialect.constants)}


def _told_apart(own: Dialect, other: Dialect) -> str:
    ours, theirs = (", ".join(Facts(dialect).gates) for dialect in (own, other))
    if ours == theirs:
        return f"as {own.name}; {other.name} has the same names and another layout"
    return f"as {own.name}, gates {ours}; {other.name} has the same names, gates {theirs}"


def read_group(group: Group, tensors: Tensors) -> Reading | Finding:
    """The group as one layer, or why it is none."""
    dialect, found = group.dialect, group.found
    where = group.where or tensors.origin
    at = place(tensors, where)
    operator = next((o for o in tensors.operators if set(group.names) <= set(o.tensors.values())), None)
    if operator and operator.kind != "LSTM":
        named = KINDS.get(operator.kind, operator.kind)
        return other_cell(where, named, "as its configuration says", tensors, *group.names)
    gates = _gate_count(group, tensors)
    if gates in (1, 3):
        kind = "GRU" if gates == 3 else "simple RNN"
        return other_cell(where, kind, "by the rows of its recurrent matrix", tensors, *group.names)
    if dialect.cells_numbered:
        try:
            found = number_cells(found, dialect, {name: tensors[name].shape for name in group.names})
        except ValueError as both:
            return Finding("ambiguous", f"{safe(where)} is {both}", at, help=LAYER_SAYS.format(dialect.name))
    initial = {name: ("B", "k") for (kind, _, _), name in found.items() if kind in dialect.initial}
    found = {key: name for key, name in found.items() if name not in initial}
    layers = 1 + max(index for _, index, _ in found)
    if absent := sorted(set(range(layers)) - {index for _, index, _ in found}):
        numbers = ", ".join(map(str, absent[:5]))
        message = f"layer {numbers} is missing between 0 and {layers - 1}"
        return Finding("layers", message, at, help="a stack is numbered without gaps")
    said, problems = read_options(operator, at)
    options = dialect.options(group.kinds) | said
    layer = Layer(lstm_cell(LstmOptions(**options)), layers=layers, layout="batch" if dialect.batch_first else "time")
    layer = layer.with_(direction=_direction(group, found, layer, tensors))
    layer = apply_live_options(layer, operator)
    names = {dialect.write_name(*key, layer.directions): name for key, name in found.items()}
    problems += [_starts_elsewhere(list(initial), at)] if initial else []
    return Reading(where, dialect, layer, names, operator, initial, tuple(problems))


def _starts_elsewhere(names: list[str], at: str) -> Finding:
    """A note: `read` gives weights, and what a layer starts from is no weight of it."""
    return Finding(
        "state",
        f"{', '.join(map(safe, names))}: the state it starts from, unless it is given another",
        at=at,
        help="give it to what runs the weights, which starts from zeros",
        severity="note",
    )


def _direction(group: Group, found: Mapping[Key, str], layer: Layer, tensors: Tensors) -> Direction:
    """From the names; where directions lie on an axis, from its length in most tensors."""
    if group.dialect.directions == "axis":
        axis = int(group.dialect.layer_axis)  # behind the layers, which are always 1
        ranks = {t.packing.name: len(t.shape) for t in group.dialect.tensors(layer)}
        shapes = {kind: tensors[name].shape for (kind, _, _), name in group.found.items()}
        lengths = Counter(shape[axis] for kind, shape in shapes.items() if len(shape) == ranks.get(kind))
        return "both" if lengths[2] > lengths[1] else "forward"
    reverses = {reverse for _, _, reverse in found}
    if reverses == {True} and group.dialect.reverse_alone:
        return "reverse"
    return "both" if True in reverses else "forward"


def _gate_count(group: Group, tensors: Tensors) -> int | None:
    """How many gates the recurrent matrices hold and most tensors confirm; None where that is open."""
    packings = group.dialect.packings
    gated = {p.name: p for p in packings if p.gates and not p.joined and p.arranged != "axis"}
    recurrent = group.dialect.recurrent & set(gated)
    kinds = [(kind, tensors[name].shape) for (kind, _, _), name in group.found.items() if kind in gated]
    widths = {_sides(gated[kind], shape)[1] for kind, shape in kinds if kind in recurrent}
    k = widths.pop() if len(widths) == 1 else 0
    if k == 0 or any(p.option == ("projection", True) and p.name in group.kinds for p in packings):
        return None
    counts = [(kind, _sides(gated[kind], shape)[0] / (k * len(gated[kind].families))) for kind, shape in kinds]
    of_recurrent = {count for kind, count in counts if kind in recurrent}
    gates = of_recurrent.pop() if len(of_recurrent) == 1 else 0.0
    votes = sum(count == gates for _, count in counts)
    return int(gates) if gates.is_integer() and 2 * votes > len(counts) else None


def _sides(packing: Packing, shape: tuple[int, ...]) -> tuple[int, int]:
    """The side of a tensor along which its gates lie, and the other; 0 for what it has not."""
    if len(shape) < 1 + packing.is_matrix:
        return 0, 0
    if not packing.is_matrix:
        return shape[-1], 0
    rows, columns = shape[-2:]
    return (columns, rows) if packing.transposed else (rows, columns)
