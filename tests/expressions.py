"""Hypothesis strategies for expressions: every node of the language, no dimensions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from sympy import Rational

from lstm_spec.symbolic import algebra as a

NAMES = (
    "x",
    "W_f",
    "U",
    "b_Wf",
    "_",
    "c0",
    "E",
    "I",
    "S",
    "N",
    "O",
    "Q",
    "beta",
    "gamma",
    "zeta",
    "pi",
    "T",
    "e2",
    "lambda",
)

digits = st.integers(0, 10**30 - 1).map(str)
exponents = st.sampled_from(["", "e5", "E-3", "e+10", "e-999"])
mantissas = st.one_of(
    digits,
    st.tuples(st.integers(0, 9999), st.text("0123456789", max_size=6)).map(lambda p: f"{p[0]}.{p[1]}"),
    st.text("0123456789", min_size=1, max_size=6).map(lambda s: f".{s}"),
)


@st.composite
def numbers(draw: st.DrawFn) -> a.Number:
    """A number as the grammar writes it: `3`, `.5`, `2.`, `1e-5`."""
    written = draw(mantissas) + draw(exponents)
    return a.Number(Rational(written), written)


@st.composite
def constants(draw: st.DrawFn) -> a.Number:
    """A number argument of a call: also `-1`, `1/6`, `-1/6`."""
    top, sign = draw(numbers()), draw(st.sampled_from(["", "-"]))
    value, written = top.value, top.written
    if draw(st.booleans()):
        below = draw(numbers().filter(lambda n: n.value != 0))
        value, written = value / below.value, f"{written}/{below.written}"
    return a.Number(-value if sign else value, sign + written)


names: st.SearchStrategy[a.Name] = st.sampled_from(NAMES).map(a.Name)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    factors = inner.filter(lambda node: not isinstance(node, a.Number))
    binary = [st.builds(kind, inner, inner) for kind in (a.Add, a.Subtract, a.Multiply, a.Divide)]
    return st.one_of(
        *binary,
        st.builds(a.Product, factors, factors),
        st.builds(a.Negate, inner),
        st.builds(a.Transpose, inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: a.Join(*parts)),
        st.sampled_from(sorted(a.FUNCTIONS)).flatmap(lambda f: _calls(f, inner)),
    )


def _calls(function: str, inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    wanted = a.FUNCTIONS[function]
    parts = [inner] * wanted.tensors + [constants()] * wanted.numbers
    return st.tuples(*parts).map(lambda given: a.Call(function, *given))


def expressions() -> st.SearchStrategy[a.Node]:
    """Any tree that text can say and that reads at least one name."""
    trees = st.recursive(st.one_of(names, numbers()), _larger, max_leaves=12)
    return trees.filter(lambda node: any(True for _ in a.names(node)))
