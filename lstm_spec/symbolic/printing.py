"""Nodes → text of the equation language, or LaTeX.

The text parses back to an equal tree: brackets are written exactly where the grammar needs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sympy import Expr

from lstm_spec.symbolic.algebra import (
    FUNCTIONS,
    Add,
    Binary,
    Call,
    Divide,
    Elementwise,
    Join,
    Multiply,
    Name,
    Negate,
    Node,
    Number,
    Product,
    Subtract,
    Transpose,
)

# How tightly a node binds, and what its left and right operands must bind at least: juxtaposition first, then
# unary minus, then * and /, then + and -; products group to the right, the others to the left.
SUM, TERM, UNARY, PRODUCT, ATOM = 1, 2, 3, 4, 5
BINDING: dict[type, tuple[int, int, int]] = {
    Add: (SUM, SUM, TERM),
    Subtract: (SUM, SUM, TERM),
    Multiply: (TERM, TERM, UNARY),
    Divide: (TERM, TERM, UNARY),
    Negate: (UNARY, UNARY, UNARY),
    Product: (PRODUCT, ATOM, PRODUCT),
    Transpose: (ATOM, ATOM, ATOM),
}


def text(node: Node) -> str:
    """A node in the equation language.

    >>> from lstm_spec.symbolic.algebra import Name
    >>> text(Add(Name("a"), Multiply(Name("f"), Product(Name("U"), Name("h")))))
    'a + f * U h'
    """
    match node:
        case Name():
            return node.name
        case Number():
            return node.written
        case Call():
            return f"{node.function}({', '.join(map(text, node.operands))})"
        case Join():
            return f"[{', '.join(map(text, node.operands))}]"
        case Negate():
            return f"-{_operand(node, 0)}"
        case Transpose():
            return f"{_operand(node, 0)}^T"
        case Elementwise():
            return f"{_operand(node, 0)} {node.sign} {_operand(node, 1)}"
        case Binary():
            return f"{_operand(node, 0)} {_operand(node, 1)}"
    raise TypeError(f"not a node of an equation: {node!r}")


def _operand(node: Node, side: int) -> str:
    return f"({text(node.operands[side])})" if _is_loose(node, side) else text(node.operands[side])


def _is_loose(node: Node, side: int) -> bool:
    """Whether an operand needs brackets: it binds less tightly than its place asks."""
    operand = node.operands[side]
    binding: int = BINDING.get(type(operand), (ATOM,))[0]
    if isinstance(operand, Number) and not re.fullmatch(r"[0-9.]+([eE][+-]?[0-9]+)?", operand.written):
        binding = SUM  # -1 and 1/6, in a tree made by code
    return binding < BINDING[type(node)][1 + side]


Symbols = Callable[[str], str]


def latex(node: Node, symbol: Symbols | None = None) -> str:
    r"""A node in LaTeX; `symbol` writes a name (time indices, another notation).

    >>> from lstm_spec.symbolic.algebra import Name
    >>> latex(Multiply(Name("f"), Name("c")))
    'f \\odot c'
    """
    symbol = symbol or subscripted

    def inner(side: int) -> str:
        shown = latex(node.operands[side], symbol)
        return rf"\left({shown}\right)" if _is_loose(node, side) else shown

    match node:
        case Name():
            return symbol(node.name)
        case Number():
            return _number_latex(node)
        case Call():
            shown = ", ".join(latex(o, symbol) for o in node.operands)
            return rf"{FUNCTIONS[node.function].latex}\left({shown}\right)"
        case Join():
            return rf"\left[{', '.join(latex(o, symbol) for o in node.operands)}\right]"
        case Negate():
            return f"-{inner(0)}"
        case Transpose():
            return rf"{{{inner(0)}}}^{{\top}}"
        case Multiply():
            sign = r"\cdot" if _has_number(node) else r"\odot"
            return rf"{inner(0)} {sign} {inner(1)}"
        case Divide():
            return rf"{inner(0)} {'/' if _has_number(node) else '⊘'} {inner(1)}".replace("⊘", r"\oslash")
        case Elementwise():
            return f"{inner(0)} {node.sign} {inner(1)}"
        case Binary():
            return rf"{inner(0)}\, {inner(1)}"
    raise TypeError(f"not a node of an equation: {node!r}")


def _has_number(node: Binary) -> bool:
    """Whether one side is a number, which spreads: a scalar product and no Hadamard product."""
    return any(isinstance(o.operand if isinstance(o, Negate) else o, Number) for o in node.operands)


def subscripted(name: str) -> str:
    """`W_f` as `W_{f}`, `d_W_f` as `d_{W_{f}}`; a prime stays."""
    if name.startswith("_"):
        return rf"\_{subscripted(name[1:])}" if name.strip("_'") else name.replace("_", r"\_")
    base, _, rest = name.rstrip("'").partition("_")
    prime = "'" if name.endswith("'") else ""
    return f"{base}{prime}_{{{subscripted(rest)}}}" if rest else base + prime


def _number_latex(number: Number) -> str:
    sign = "-" if number.written.startswith("-") else ""
    top, slash, bottom = number.written.removeprefix("-").partition("/")
    return sign + (rf"\tfrac{{{_decimal_latex(top)}}}{{{_decimal_latex(bottom)}}}" if slash else _decimal_latex(top))


def _decimal_latex(written: str) -> str:
    mantissa, mark, exponent = written.lower().partition("e")
    if not mark:
        return written
    factor = "" if mantissa == "1" else rf"{mantissa} \cdot "
    return f"{factor}10^{{{int(exponent)}}}"


def size_text(size: Any, letters: Sequence[str] = ()) -> str:
    """A size as people write it: `4k`, `n + k`; the letters in the order given, others after them.

    >>> from sympy import Symbol
    >>> size_text(Symbol("k") + Symbol("n"), ["n", "k"])
    'n + k'
    """
    return _size_text(size, tuple(letters)) if isinstance(size, Expr) else str(size)


@lru_cache(maxsize=4096)
def _size_text(size: Any, letters: tuple[str, ...]) -> str:
    terms = size.as_coefficients_dict()
    order = {letter: i for i, letter in enumerate(letters)}
    ranked = sorted(terms.items(), key=lambda item: (item[0] == 1, order.get(str(item[0]), len(order)), str(item[0])))
    if any(not (atom.is_Symbol or atom.is_Number) for atom, _ in ranked):
        return str(size)
    shown = [_size_term(coefficient, atom) for atom, coefficient in ranked]
    return " + ".join(shown).replace("+ -", "- ")


def _size_term(coefficient: Any, atom: Any) -> str:
    if atom == 1:
        return str(coefficient)
    sign = "*" if re.fullmatch(r"[eE][0-9]+", str(atom)) else ""  # 4e2 would be read as 400
    return str(atom) if coefficient == 1 else f"{coefficient}{sign}{atom}" if coefficient != -1 else f"-{atom}"


def shape_text(sizes: Sequence[Any], letters: Sequence[str] = ()) -> str:
    """The sizes of a tensor as people write them: `k`, `k×n`, `k×(n + k)`.

    >>> from sympy import Symbol
    >>> shape_text([Symbol("k"), Symbol("k") + Symbol("n")], ["n", "k"])
    'k×(n + k)'
    """
    shown = [size_text(size, letters) for size in sizes]
    return shown[0] if len(shown) == 1 else "×".join(f"({s})" if " " in s or "*" in s else s for s in shown)


def tuple_text(sizes: Sequence[Any], letters: Sequence[str] = ()) -> str:
    """The sizes of an array as Python writes a shape, each as `size_text` writes it: `(T, B, n + k)`, `(k,)`."""
    inside = ", ".join(size_text(size, letters) for size in sizes)
    return f"({inside},)" if len(sizes) == 1 else f"({inside})"
