"""A cell in another school's symbols: which name is shown as what, and the equations rearranged as that school writes.

Comes in: a `Cell` and a `Notation` (data: `schools`). Goes out: a `Notated`, whose equations are trees over the cell's
own names, or over several of them where the school has one matrix for both (`U_f W_f`), and a `Sign` for each. A sign
maps back to its names: two names never get one sign. Computes nothing, drops nothing, and prints no LaTeX (`render`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lstm_spec.errors import Finding, OptionError
from lstm_spec.symbolic.algebra import Name, Transpose, names, walk
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.rearranging import Reading, join_sums, order_sums, turn_products
from lstm_spec.symbolic.shapes import matrices

Style = Literal["subscript", "superscript", "angle", "compact", "tm1", "new"]
When = Literal["", "before", "now", "after"]
Form = Literal["columns", "rows", "rows transposed"]
TIMELESS = ("parameter", "total")
KINDS = {"W": "W|{}", "U": "U|{}", "P": "P|{}", "p": "p|{}", "b": "b|{}", "b_W": "b|W{}", "b_U": "b|U{}"}
GRU = frozenset({"z", "r", "g"})


@dataclass(frozen=True, slots=True)
class Symbol:
    """A head with a subscript: `W` with the prefix `x` and the gate `i` is `W_xi`; `text` is how it is typed."""

    head: str
    prefix: str
    gate: str
    text: str

    @property
    def subscript(self) -> str:
        """`xi`."""
        return self.prefix + self.gate


def read_symbol(template: str, gate: str = "") -> Symbol:
    """`W|x{}` and `i` → W_xi; a `+` in place of the bar types it without the underscore: Wi."""
    head, bar, prefix = template.replace("+", "|").partition("|")
    prefix, takes_gate, _ = prefix.partition("{}")
    gate = gate if takes_gate else ""
    glue = "_" if bar and "+" not in template and prefix + gate else ""
    return Symbol(head, prefix, gate, head + glue + prefix + gate)


def own_symbol(name: str) -> Symbol:
    """A name of ours as it is."""
    head, _, rest = name.partition("_")
    return Symbol(head or "_", "", rest, name)


@dataclass(frozen=True, slots=True)
class Remark:
    """What a reader must know about a cell that has these names and lacks those."""

    words: str
    has: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Notation:
    """One school's way to write a recurrent cell; `source` says where that was read.

    `vectors` renames a gate, state or input, `gates` the same letter as a subscript of a parameter; `gru` holds both
    where a cell is a GRU. `kinds` are templates for parameters by what stands before their gate, `whole` for a whole
    name. `joined` is the template of the one matrix that meets `[h, x]`, `join` which comes first. In `form` "rows" a
    vector is a row and a matrix is stored the other way round: `x W`; "rows transposed" is `x W^T`.
    """

    name: str
    title: str
    source: str
    style: Style = "subscript"
    vectors: Mapping[str, str] = field(default_factory=dict)
    gates: Mapping[str, str] = field(default_factory=dict)
    gru_vectors: Mapping[str, str] = field(default_factory=dict)
    gru_gates: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)
    join: Literal["", "hx", "xh"] = ""
    joined: str = "W|{}"
    form: Form = "columns"
    biases_last: bool = False
    order: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Sign:
    """How a name is shown, at which time; `names` are the cell's own (several for a joined matrix)."""

    names: tuple[str, ...]
    symbol: Symbol
    when: When
    style: Style

    @property
    def text(self) -> str:
        """`f_t`, `c^{<t-1>}`, `new_c`; a parameter has no time."""
        return type_sign(self.symbol, self.when, self.style)


def type_sign(symbol: Symbol, when: When, style: Style) -> str:
    """A symbol at a time, as it is typed."""
    if not when:
        return symbol.text
    time = "t-1" if when == "before" else "t"
    match style:
        case "subscript" if symbol.subscript:
            return f"{symbol.head}_{{{symbol.subscript},{time}}}"
        case "subscript":
            return f"{symbol.text}_{{{time}}}" if len(time) > 1 else f"{symbol.text}_{time}"
        case "superscript":
            return f"{symbol.text}^{{{time}}}" if len(time) > 1 else f"{symbol.text}^{time}"
        case "angle":
            return f"{symbol.text}^{{<{time}>}}"
        case "compact":
            return symbol.text + time
        case "tm1":
            return symbol.text + "_tm1" * (when == "before")
        case "new":
            return "new_" * (when == "after") + symbol.text


@dataclass(frozen=True)
class Notated:
    """A cell in a notation. The keys of `signs` are the names that stand in `equations`."""

    cell: Cell
    notation: Notation
    equations: tuple[Equation, ...]
    signs: Mapping[str, Sign]
    form: Form

    def originals(self, text: str) -> tuple[str, ...]:
        """The cell's own names behind what is shown. Raises KeyError for what is not shown."""
        return {sign.text: sign.names for sign in self.signs.values()}[text]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know about this cell in this notation."""
        known = frozenset(self.cell.roles)
        found = [r.words for r in self.notation.remarks if r.has <= known and not r.lacks & known]
        if self.form != self.notation.form:
            found.append("this cell transposes a matrix or derives one: its vectors stay columns, as in lstm-spec")
        return tuple(found)


def notate(cell: Cell, notation: Notation) -> Notated:
    """The cell in a notation.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> from lstm_spec.symbolic.schools import get
    >>> notated = notate(lstm_cell(), get("ng"))
    >>> notated.signs["i"].text, notated.originals("W_u")
    ('Γ_u^{<t>}', ('U_i', 'W_i'))

    Raises OptionError when two names would be shown alike.
    """
    form = notation.form if _is_turnable(cell) else "columns"
    equations = tuple(_rearranged(cell, notation, form))
    signs = _settled(dict(_signs(cell, notation, equations)), cell, notation)
    return Notated(cell, notation, equations, signs, form)


def _rearranged(cell: Cell, notation: Notation, form: Form) -> Iterator[Equation]:
    reading = Reading(
        frozenset(d.name for d in cell.inputs),
        frozenset(cell.parameters),
        Counter(name.name for equation in cell.equations for name in names(equation.expression)),
        {name: _split(name) for name in cell.parameters},
    )
    for equation in _ordered(cell.equations, notation.order):
        node = equation.expression
        if notation.biases_last:
            node = order_sums(node, reading)
        if notation.join:
            node = join_sums(node, reading, inputs_first=notation.join == "xh")
        if form != "columns":
            node = turn_products(node, matrices(cell) if form == "rows transposed" else frozenset())
        yield Equation(equation.targets, node, equation.total)


def _ordered(equations: tuple[Equation, ...], order: tuple[str, ...]) -> Iterator[Equation]:
    """The equations that the school orders change places among themselves; the others stay."""
    rank = {target: i for i, target in enumerate(order)}
    ranked = iter(sorted((e for e in equations if e.targets[0] in rank), key=lambda e: rank[e.targets[0]]))
    return (next(ranked) if e.targets[0] in rank else e for e in equations)


def _is_turnable(cell: Cell) -> bool:
    """Whether all vectors may be rows: every matrix is a parameter, as it is."""
    for equation in cell.equations:
        for node in walk(equation.expression):
            if isinstance(node, Transpose):
                return False
    left = {n.name for e in cell.equations for node in walk(e.expression) for n in _left_names(node)}
    return left <= set(cell.parameters) and not any(e.total for e in cell.equations)


def _left_names(node: object) -> Iterator[Name]:
    from lstm_spec.symbolic.algebra import Product

    return names(node.left) if isinstance(node, Product) else iter(())


def _split(name: str) -> tuple[str, str]:
    """What stands before a parameter's gate, and the gate: `b_Wf` → b_W and f, `W_f` → W and f, `W` → W."""
    kind, gate = re.fullmatch(r"(b_[WU](?=[a-z])|[^_]*)_?(.*)", name).groups()  # type: ignore[union-attr]
    return (kind, gate) if name in (kind, f"{kind}_{gate}", kind + gate) and kind in KINDS else (name, "")


def _signs(cell: Cell, notation: Notation, equations: tuple[Equation, ...]) -> Iterator[tuple[str, Sign]]:
    """A sign for each name of the cell, and for each joined matrix in place of its parts."""
    vectors, gates = _letters(cell, notation)
    joined = {n.name for e in equations for n in names(e.expression) if " " in n.name}
    hidden = {part for key in joined for part in key.split(" ")}
    for name, role in cell.roles.items():
        base = name.removesuffix("'")
        if name in hidden:
            continue
        if role == "parameter":
            yield name, Sign((name,), _parameter(name, notation, gates), "", notation.style)
            continue
        symbol = read_symbol(vectors[base]) if base in vectors else own_symbol(base)
        yield name, Sign((name,), symbol, _when(cell, name), notation.style)
    for key in sorted(joined):
        parts = tuple(key.split(" "))
        gate = _renamed(_split(parts[0])[1], gates)
        yield key, Sign(parts, read_symbol(notation.joined, gate), "", notation.style)


def _letters(cell: Cell, notation: Notation) -> tuple[dict[str, str], dict[str, str]]:
    """What a vector and a subscript are renamed to in this cell.

    A letter whose new symbol another name of the cell has already stays as it is: Greff's z for g, beside a GRU's z.
    """
    is_gru = GRU <= cell.roles.keys() and "c" not in cell.roles
    vectors = dict(notation.vectors) | (dict(notation.gru_vectors) if is_gru else {})
    gates = dict(notation.gates) | (dict(notation.gru_gates) if is_gru else {})
    own = {name.removesuffix("'") for name, role in cell.roles.items() if role not in TIMELESS}
    kept = {*cell.letters, *cell.parameters, *(name for name in own if name not in vectors)}
    taken = {old for old, new in vectors.items() if read_symbol(new).text in kept - {old}}
    return (
        {old: new for old, new in vectors.items() if old not in taken},
        {old: new for old, new in gates.items() if old not in taken},
    )


def _when(cell: Cell, name: str) -> When:
    role = cell.roles[name]
    if role == "total":
        return ""
    if name.endswith("'"):
        return "after"
    return "before" if role == "state" or name + "'" in cell.roles else "now"


def _parameter(name: str, notation: Notation, gates: Mapping[str, str]) -> Symbol:
    if name in notation.whole:
        return read_symbol(notation.whole[name])
    kind, gate = _split(name)
    template = (KINDS | dict(notation.kinds)).get(kind)
    return own_symbol(name) if template is None else read_symbol(template, _renamed(gate, gates))


def _renamed(gate: str, gates: Mapping[str, str]) -> str:
    """`g` and `g1` (of a gate with layers of its own) → `c` and `c1`."""
    letter, layer = gate[:1], gate[1:]
    return gates[letter] + layer if letter in gates and (not layer or layer.isdigit()) else gate


def _settled(signs: dict[str, Sign], cell: Cell, notation: Notation) -> dict[str, Sign]:
    """The signs with no two alike: where two clash, both keep the cell's own name.

    Raises OptionError where that does not help.
    """
    for _ in signs:
        shown = Counter([sign.text for sign in signs.values()] + list(cell.letters))
        alike = [key for key, sign in signs.items() if shown[sign.text] > 1]
        own = {key: _own(signs[key]) for key in alike}
        if all(signs[key] == sign for key, sign in own.items()):
            break
        signs |= own
    if alike:
        raise _clash(signs, alike, cell, notation)
    return signs


def _own(sign: Sign) -> Sign:
    """The cell's own name for it; of a joined matrix, that of its first part's partner: W_f of `U_f W_f`."""
    return Sign(sign.names, own_symbol(sign.names[-1].removesuffix("'")), sign.when, sign.style)


def _clash(signs: Mapping[str, Sign], alike: list[str], cell: Cell, notation: Notation) -> OptionError:
    text = signs[alike[0]].text
    both = [" ".join(sign.names) for sign in signs.values() if sign.text == text]
    both += [f"the size {text}" for letter in cell.letters if letter == text]
    return OptionError(
        Finding(
            "notation",
            f"{' and '.join(both)} would both be shown as {text}",
            because=f"that is how the notation {notation.name} writes them",
            help="give one of them another name in the equations, or choose another notation",
        )
    )
