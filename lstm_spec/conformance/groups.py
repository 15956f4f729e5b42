"""Names → groups → readings: the tensors under one prefix that bear one dialect's names are one layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.conformance.live_options import read_options
from lstm_spec.conformance.numbered import LAYER_SAYS, Key, number_cells
from lstm_spec.conformance.operators import apply_live_options
from lstm_spec.conformance.readings import KINDS, Reading, place
from lstm_spec.dialects import Dialect, Packing
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Direction, Layer
from lstm_spec.layers.tensors import Tensors


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


def group_names(names: Iterable[str], dialect: Dialect) -> tuple[Group, ...]:
    """The names that the dialect's pattern recognizes, by their prefix."""
    groups: dict[str, Group] = {}
    for name in names:
        if match := dialect.pattern.fullmatch(name):
            parts = match.groupdict()
            group = groups.setdefault(parts["prefix"], Group(parts["prefix"], dialect))
            key = (dialect.kind(match), int(parts.get("layer") or 0), bool(parts.get("reverse")))
            if key in group.found:
                group.doubles.append(name)
            else:
                group.found[key] = name
    return tuple(groups.values())


def claim_names(names: Collection[str], dialects: Iterable[Dialect]) -> tuple[Group, ...]:
    """The groups that names alone decide. Where two dialects could read a tensor, the one that reads more of its
    neighbours does: `weight_ih, weight_hh, bias` is Equinox, with `bias_ih, bias_hh` beside them it is PyTorch.
    """
    claimed = [group for dialect in dialects for group in group_names(names, dialect) if group.is_claimed]
    taken: set[str] = set()
    kept: dict[int, Group] = {}
    for number, group in sorted(enumerate(claimed), key=lambda pair: -len(pair[1].found)):
        left = group.without(taken)
        if left.is_claimed:
            kept[number] = left
            taken |= set(left.names)
    return tuple(kept[number] for number in sorted(kept))


def read_group(group: Group, tensors: Tensors) -> Reading | Finding:
    """The group as one layer, or why it is none."""
    dialect, found = group.dialect, group.found
    where = group.prefix.rstrip("./") or tensors.origin
    at = place(tensors, where)
    operator = next((o for o in tensors.operators if set(group.names) <= set(o.tensors.values())), None)
    if operator and operator.kind != "LSTM":
        return _other_cell(where, KINDS.get(operator.kind, operator.kind), "as its configuration says", group, tensors)
    gates = _gate_count(group, tensors)
    if gates in (1, 3):
        kind = "GRU" if gates == 3 else "simple RNN"
        return _other_cell(where, kind, "by the rows of its recurrent matrix", group, tensors)
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


def _other_cell(where: str, kind: str, evidence: str, group: Group, tensors: Tensors) -> Finding:
    return Finding(
        "unread",
        f"{safe(where)} is a {kind}, {evidence}; this version reads LSTMs",
        at=f"{place(tensors)} : {', '.join(safe(n) for n in group.names)}",
    )
