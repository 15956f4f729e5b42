"""A notated cell → a cell again, so that whatever is derived from a cell can be told in a school's symbols.

Names of the language are ASCII words and a school's are not: `Γ_u^{<t>}`. So each symbol gets a stand-in that is one,
the derivation runs, and `restore` puts the symbols into the text that comes out. A joined matrix is one parameter; one
that is stored the other way round stands transposed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lstm_spec.errors import Finding, OptionError
from lstm_spec.symbolic.algebra import Name, Node, Transpose
from lstm_spec.symbolic.cell import Cell, Declaration
from lstm_spec.symbolic.notation import Notated, notate
from lstm_spec.symbolic.shapes import matrices
from lstm_spec.symbolic.signs import Sign, When, type_sign

STAND_IN = re.compile(r"(state )?\bq([0-9a-f]+)q('|_t\b|_\{t-1\})?")
TURNED = re.compile(r"(q[0-9a-f]+q)\^T (q[0-9a-f]+q'?|\[[^][]*\]|\([^()]*\))")
SIGMOID = re.compile(r"\bsigmoid\(")


@dataclass(frozen=True, slots=True)
class Renamed:
    """The cell under stand-ins, and the sign that each stands for; several cells may share one `Renamed`'s signs."""

    cell: Cell
    signs: Mapping[str, Sign]

    def restore(self, text: str) -> str:
        """A text with the school's symbols in place of the stand-ins: a declared state is one of every t."""

        def shown(match: re.Match[str]) -> str:
            keyword, key, time = match.groups(default="")
            sign = self.signs[key]
            return keyword + type_sign(sign.symbol, _when(sign, time, bool(keyword)), sign.style)

        return SIGMOID.sub("σ(", STAND_IN.sub(shown, TURNED.sub(r"\2 \1", text)))

    def beside(self, other: Renamed) -> Renamed:
        """The same with another cell's signs as well, for a text that tells of both.

        Raises OptionError when one symbol stands for two things in them.
        """
        for key, sign in self.signs.items():
            for theirs, its in other.signs.items():
                if key != theirs and sign.text == its.text:
                    words = [" ".join(s.names) for s in (sign, its)]
                    because = f"{words[0]} of the one, {words[1]} of the other"
                    message = f"{sign.text} would stand for two things in these cells"
                    raise OptionError(Finding("notation", message, because=because, help="choose another notation"))
        return replace(self, signs={**other.signs, **self.signs})

    def restore_all(self, value: Any) -> Any:
        """The same for every text in lists, tuples and mappings."""
        match value:
            case str():
                return self.restore(value)
            case Mapping():
                return {self.restore_all(key): self.restore_all(item) for key, item in value.items()}
            case list() | tuple():
                return type(value)(self.restore_all(item) for item in value)
        return value


def rename_cell(notated: Notated) -> Renamed:
    """The cell that the notated equations are, its vectors columns; `restore` makes rows of `W^T x` again.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> from lstm_spec.symbolic.schools import get
    >>> renamed = rename_cell(notate(lstm_cell(), get("colah")))
    >>> renamed.restore(str(renamed.cell.equations[0]))
    'f_t = σ(W_f [h_{t-1}, x_t] + b_f)'
    """
    columns = notate(notated.cell, replace(notated.notation, form="columns"))
    stand_ins = {key: _stand_in(key, sign) for key, sign in columns.signs.items()}
    turned = frozenset(columns.signs) & _turned(notated)

    def written(node: Node) -> Node:
        if isinstance(node, Name):
            name = Name(stand_ins[node.name])
            return Transpose(name) if node.name in turned else name
        return node.over(map(written, node.operands))

    def declared(declarations: tuple[Declaration, ...]) -> Iterator[Declaration]:
        for declaration in declarations:
            if declaration.name in stand_ins:
                size = declaration.size[::-1] if declaration.name in turned else declaration.size
                yield replace(declaration, name=stand_ins[declaration.name], size=size)

    cell = columns.cell
    equations = tuple(
        replace(e, targets=tuple(stand_ins[t] for t in e.targets), expression=written(e.expression))
        for e in columns.equations
    )
    made = Cell(
        tuple(declared(cell.inputs)),
        tuple(declared(cell.states)),
        equations,
        tuple(declared(cell.lets)),
        tuple(stand_ins[name] for name in cell.outputs),
    )
    primed_first = sorted(columns.signs.items(), key=lambda item: not item[0].endswith("'"))
    return Renamed(made, {stand_ins[key].strip("q'"): sign for key, sign in primed_first})


def _when(sign: Sign, written: str, is_declared: bool) -> When:
    """The time of a stand-in: as it is written behind it, else its own; a declared state is one of every t."""
    is_state = sign.when == "before"
    match written:
        case "'":
            return "after"
        case "_t":
            return "after" if is_state else "now"
        case "_{t-1}":
            return "before"
    return "now" if is_state and is_declared else sign.when


def _turned(notated: Notated) -> frozenset[str]:
    """The matrices that the school stores the other way round, joined ones among them."""
    if notated.form != "rows":
        return frozenset()
    plain = matrices(notated.cell)
    return frozenset(key for key in (*plain, *notated.signs) if set(key.split(" ")) <= plain)


def _stand_in(key: str, sign: Sign) -> str:
    base = key.removesuffix("'")
    return f"q{f'{base}|{sign.symbol.text}'.encode().hex()}q" + "'" * key.endswith("'")
