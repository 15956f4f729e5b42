r"""The blocks of a Jacobian → text, `dc'/dh = diag(f) U_f`, or LaTeX.

`diag(v)` has v on its diagonal, I is the identity; the text is for people and is no cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lstm_spec.symbolic.algebra import Call, Name, Node, Number
from lstm_spec.symbolic.printing import latex, text

if TYPE_CHECKING:
    from lstm_spec.symbolic.blocks import Jacobian
    from lstm_spec.symbolic.matrix_sums import Factor, Sum, Term

Symbols = Callable[[str], str]
ATOMS = (Name, Number, Call)


def jacobian_text(found: Jacobian) -> str:
    """Every block on a line."""
    lefts = [f"d{of}/d{by}" for of, by in found.blocks]
    width = max(map(len, lefts), default=0)
    sums = map(sum_text, found.blocks.values())
    return "\n".join(f"{left:<{width}} = {terms}" for left, terms in zip(lefts, sums, strict=True))


def sum_text(terms: Sum) -> str:
    """A sum of products of matrices; 0 where there is none."""
    return _signed(terms, _term_text)


def _signed(terms: Sum, write: Callable[[Term], str]) -> str:
    shown = "".join(f" {'-' if term.minus else '+'} {write(term)}" for term in terms)
    return shown.removeprefix(" + ").replace(" - ", "-", 1) if shown.startswith(" - ") else shown[3:] or "0"


def _term_text(term: Term) -> str:
    return " ".join(map(_factor_text, term.factors)) or "I"


def _factor_text(factor: Factor) -> str:
    match factor.kind:
        case "diag":
            return f"diag({text(_node(factor))})"
        case "matrix":
            shown = text(_node(factor))
            return shown if isinstance(factor.node, ATOMS) or shown.endswith("^T") else f"({shown})"
        case "mean":
            return "M"
        case "norm":
            return f"N({text(_node(factor).operands[0])})"
        case "block":
            return f"d{factor.names[0]}/d{factor.names[1]}"
        case "rows":
            return f"rows({factor.names[0]})"
    return f"[{'; '.join(map(sum_text, factor.parts))}]"


def _node(factor: Factor) -> Node:
    assert factor.node is not None
    return factor.node


# ---- LaTeX ----


def partial(of: str, by: str) -> str:
    r"""`\frac{\partial c_{t}}{\partial h_{t-1}}`, of two written names."""
    return rf"\frac{{\partial {of}}}{{\partial {by}}}"


def sum_latex(terms: Sum, symbol: Symbols) -> str:
    """A sum in LaTeX."""
    return _signed(terms, lambda term: r"\, ".join(_factor_latex(f, symbol) for f in term.factors) or "I")


def _factor_latex(factor: Factor, symbol: Symbols) -> str:
    match factor.kind:
        case "diag":
            return rf"\operatorname{{diag}}\left({latex(_node(factor), symbol)}\right)"
        case "matrix":
            shown = latex(_node(factor), symbol)
            is_atom = isinstance(factor.node, ATOMS) or type(factor.node).__name__ == "Transpose"
            return shown if is_atom else rf"\left({shown}\right)"
        case "mean":
            return "M"
        case "norm":
            return rf"N\left({latex(_node(factor).operands[0], symbol)}\right)"
        case "block":
            return partial(*map(symbol, factor.names))
        case "rows":
            return rf"R_{{{symbol(factor.names[0])}}}"
    parts = r" \\ ".join(sum_latex(part, symbol) for part in factor.parts)
    return rf"\begin{{bmatrix}} {parts} \end{{bmatrix}}"


def explain_factors(found: Jacobian) -> Iterator[str]:
    """What M, N and rows mean, where they are used."""
    kinds = {factor.kind for terms in found.blocks.values() for factor in _all_factors(terms)}
    if kinds & {"mean", "norm"}:
        yield "M has 1/rows in every entry"
    if "norm" in kinds:
        yield "N(z) = diag(1 / sqrt(mean((z - mean(z))^2) + e)) (I - M - diag(y) M diag(y)), y = layer_norm(z, e)"
    if "rows" in kinds:
        yield "rows(z) takes the rows of z out of the whole"
    if "stack" in kinds:
        yield "[A; B] stands one under the other"


def _all_factors(terms: Sum) -> Iterator[Factor]:
    for term in terms:
        for factor in term.factors:
            yield factor
            for part in factor.parts:
                yield from _all_factors(part)
