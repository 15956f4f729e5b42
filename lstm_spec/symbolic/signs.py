"""Symbols and how they are typed: a head with a subscript, at a time, in a school's style. No LaTeX (`render`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Style = Literal["subscript", "superscript", "angle", "compact", "tm1", "new"]
When = Literal["", "before", "now", "after"]


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
