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
from lstm_spec.symbolic.algebra import Name, Node, Product, Transpose, names, walk
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.rearranging import Reading, join_sums, order_sums, turn_products
from lstm_spec.symbolic.shapes import matrices
from lstm_spec.symbolic.signs import Sign, Style, Symbol, When, own_symbol, read_symbol, type_sign

Form = Literal["columns", "rows", "rows transposed"]
TIMELESS = ("parameter", "total")
KINDS = {"W": "W|{}", "U": "U|{}", "P": "P|{}", "p": "p|{}", "b": "b|{}", "b_W": "b|W{}", "b_U": "b|U{}"}
GRU = frozenset({"z", "r", "g"})


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
    vector is a row and a matrix is stored the other way round: `x W`; "rows transposed" is `x W^T`. `output` is the
    whole sequence that a layer returns, `order` the order of the equations.
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
    output: str = "y"
    order: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()


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


def _ordered(equations: tuple[Equation, ...], order: tuple[str, ...]) -> tuple[Equation, ...]:
    """The equations that the school orders change places, where they stand together; else all stay as written."""
    rank = {target: i for i, target in enumerate(order)}
    places = [i for i, equation in enumerate(equations) if equation.targets[0] in rank]
    if not places or places[-1] - places[0] >= len(places):
        return equations
    first, end = places[0], places[-1] + 1
    ranked = sorted(equations[first:end], key=lambda equation: rank[equation.targets[0]])
    return (*equations[:first], *ranked, *equations[end:])


def _is_turnable(cell: Cell) -> bool:
    """Whether all vectors may be rows: every matrix is a parameter, as it is."""
    for equation in cell.equations:
        for node in walk(equation.expression):
            if isinstance(node, Transpose):
                return False
    left = {n.name for e in cell.equations for node in walk(e.expression) for n in _left_names(node)}
    return left <= set(cell.parameters) and not any(e.total for e in cell.equations)


def _left_names(node: Node) -> Iterator[Name]:
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
            yield name, Sign((name,), _parameter(name, cell, notation, gates), "", notation.style)
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
    is_gru = cell.roles.keys() >= GRU and "c" not in cell.roles
    vectors = dict(notation.vectors) | (dict(notation.gru_vectors) if is_gru else {})
    gates = dict(notation.gates) | (dict(notation.gru_gates) if is_gru else {})
    own = {name.removesuffix("'") for name, role in cell.roles.items() if role not in TIMELESS}
    kept = {*cell.parameters, *(name for name in own if name not in vectors)}

    def is_taken(old: str, new: str) -> bool:
        symbol = read_symbol(new)
        return symbol.text in kept - {old} or type_sign(symbol, "now", notation.style) in cell.letters

    taken = {old for old, new in vectors.items() if old in own and is_taken(old, new)}
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


def _parameter(name: str, cell: Cell, notation: Notation, gates: Mapping[str, str]) -> Symbol:
    """A parameter of a gate by its kind; one of something else, like W_proj, by its whole name or as it is."""
    if name in notation.whole:
        return read_symbol(notation.whole[name])
    kind, gate = _split(name)
    template = (KINDS | dict(notation.kinds)).get(kind)
    is_gate = gate in cell.roles or re.fullmatch("([A-Za-z][0-9]*)?", gate)
    is_of_kind = kind != "W" or _reads_input(name, cell)
    return read_symbol(template, _renamed(gate, gates)) if template and is_gate and is_of_kind else own_symbol(name)


def _reads_input(matrix: str, cell: Cell) -> bool:
    """Whether a matrix multiplies something of the input: Udacity's W_u does not."""
    inputs = {declared.name for declared in cell.inputs}
    return any(
        isinstance(node, Product) and node.left == Name(matrix) and any(n.name in inputs for n in names(node.right))
        for equation in cell.equations
        for node in walk(equation.expression)
    )


def _renamed(gate: str, gates: Mapping[str, str]) -> str:
    """`g` and `g1` (of a gate with layers of its own) → `c` and `c1`."""
    letter, layer = gate[:1], gate[1:]
    return gates[letter] + layer if letter in gates and (not layer or layer.isdigit()) else gate


def _settled(signs: dict[str, Sign], cell: Cell, notation: Notation) -> dict[str, Sign]:
    """The signs with no two alike: where two clash, both keep the cell's own name.

    Raises OptionError where that does not help.
    """
    while True:
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
