"""Ops → Python text: the tables of what NumPy calls things, and the identifiers of a function.

Names come from the equations and become Python identifiers here; nothing else of a user's reaches the source.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sympy import Symbol

from lstm_spec.compiler.program import Op

SUM, TERM, UNARY, ATOM = 1, 2, 3, 4  # how tightly Python binds

# kind → (how tightly the text binds, how tightly each argument must, the text)
OPERATORS: dict[str, tuple[int, tuple[int, ...], str]] = {
    "add": (SUM, (SUM, TERM), "{0} + {1}"),
    "subtract": (SUM, (SUM, TERM), "{0} - {1}"),
    "multiply": (TERM, (TERM, UNARY), "{0} * {1}"),
    "divide": (TERM, (TERM, UNARY), "{0} / {1}"),
    "negate": (UNARY, (UNARY,), "-{0}"),
    "product": (TERM, (ATOM, UNARY), "{1} @ {0}.T"),
    "turned": (TERM, (ATOM, UNARY), "{1} @ {0}"),
    "transpose": (ATOM, (ATOM,), "{0}.T"),
    "rows": (ATOM, (ATOM,), "{0}[..., {start}:{stop}]"),
    "columns": (ATOM, (ATOM,), "{0}[:, {start}:{stop}]"),
    "block": (ATOM, (ATOM,), "{0}[{start}:{stop}]"),
    "reverse_time": (ATOM, (ATOM,), "{0}[::-1]"),
    "apart": (ATOM, (SUM, SUM), "np.stack([{0}, {1}], axis=-3)"),
    "select": (ATOM, (SUM, SUM, SUM), "np.where({0}, {1}, {2})"),
    "last": (ATOM, (ATOM,), "{0}[-1]"),
    "side": (ATOM, (ATOM,), "{0}[..., {1}, :, :]"),
    "sum": (ATOM, (ATOM,), "{0}.sum(axis=(0, 1))"),
    "identity": (ATOM, (ATOM,), "{0}"),
    "tanh": (ATOM, (SUM,), "np.tanh({0})"),
    "exp": (ATOM, (SUM,), "np.exp({0})"),
    "log": (ATOM, (SUM,), "np.log({0})"),
    "sqrt": (ATOM, (SUM,), "np.sqrt({0})"),
    "abs": (ATOM, (SUM,), "np.abs({0})"),
    "relu": (ATOM, (SUM,), "np.maximum({0}, 0)"),
    "max": (ATOM, (SUM, SUM), "np.maximum({0}, {1})"),
    "softplus": (ATOM, (SUM,), "np.logaddexp({0}, 0)"),
    "step": (ATOM, (SUM,), "unit_step({0})"),
    "clip": (ATOM, (SUM,), "np.clip({0}, {1}, {2})"),
}

# functions that NumPy has not, as they stand in the module
HELPERS: dict[str, str] = {
    "sigmoid": '''\
def sigmoid(z):
    """1 / (1 + exp(-z)), by an exponential that cannot overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)
''',
    "softsign": """\
def softsign(z):
    return z / (1 + np.abs(z))
""",
    "step": '''\
def unit_step(z):
    """1 where z > 0, else 0."""
    return (z > 0).astype(z.dtype)
''',
    "mean": '''\
def mean(z):
    """Every entry the mean over the rows."""
    return np.broadcast_to(z.mean(axis=-1, keepdims=True), z.shape)
''',
    "hard_sigmoid": """\
def hard_sigmoid(z, slope, offset):
    return np.clip(slope * z + offset, 0, 1)
""",
    "leaky_relu": """\
def leaky_relu(z, a):
    return np.where(z > 0, z, a * np.minimum(z, 0))
""",
    "elu": """\
def elu(z, a):
    return np.where(z > 0, z, a * np.expm1(np.minimum(z, 0)))
""",
    "spread": '''\
def spread(b, x):
    """The weights b for every sample of x."""
    return np.broadcast_to(b, x.shape[:-1] + b.shape)
''',
    "shift": '''\
def shift(z, initial):
    """What was before each step: the initial value, then z without its last."""
    return np.concatenate([initial[None], z])[: len(z)]
''',
    "place_last": '''\
def place_last(d, z):
    """A sequence like z: d at its last step, 0 before."""
    placed = np.zeros_like(z)
    placed[-1:] = d
    return placed
''',
    "outer_sum": '''\
def outer_sum(u, v):
    """The sum of u v^T over time and batch, as one product."""
    return u.reshape(-1, u.shape[-1]).T @ v.reshape(-1, v.shape[-1])
''',
    "layer_norm": '''\
def layer_norm(z, e):
    """Zero mean and unit variance over the rows; the variance is biased."""
    centred = z - z.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + e)
''',
}

TAKEN = (
    "np",
    "range",
    "reversed",
    "len",
    "weights",
    "d_weights",
    "gradient",
    "pack_gradient",
    "packed",
    "pack",
    "run",
    "step",
    "unit_step",
    "t",
    "T",
    "B",
)
RESERVED = {*keyword.kwlist, *TAKEN, *HELPERS}
WIDTH = 100  # columns of an emitted line


@dataclass(slots=True)
class Scope:
    """The identifiers of one function: each name of the program gets one, and none gets two.

    `functions` are names of the module that none may hide, besides the fixed ones.
    """

    prefix: str = ""
    functions: Set[str] = frozenset()
    names: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str) -> str:
        if name not in self.names:
            base = identifier(name.removeprefix(self.prefix))
            taken = {*self.names.values(), *RESERVED, *self.functions}
            numbered = (base if number == 1 else f"{base}_{number}" for number in count(1))
            self.names[name] = next(chosen for chosen in numbered if chosen not in taken)
        return self.names[name]

    def size(self, size: Any) -> str:
        """A size as Python writes it: `2 * k`."""
        letters = {s: Symbol(self(f"[{s}]")) for s in size.free_symbols}
        return str(size.xreplace(letters)).replace("*", " * ")


def identifier(name: str) -> str:
    """`l0.reverse.c'` → `l0_reverse_c_new`: letters, digits and underscores only."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", name.replace("'", "_new")).strip("_")
    return plain if plain and not plain[0].isdigit() else f"v_{plain}"


@dataclass(slots=True)
class Writer:
    """Ops → statements; what is read once, and no equation names, is written where it is read."""

    scope: Scope
    read: dict[str, int]
    named: Set[str]
    texts: dict[str, tuple[int, str]] = field(default_factory=dict)

    def constants(self, ops: Iterable[Op]) -> Writer:
        """The same writer, knowing the numbers among some ops."""
        for op in ops:
            if op.kind == "constant":
                value = op.numbers[0]
                self.texts[op.out] = (ATOM if value >= 0 else UNARY, number_text(value))
        return self

    def text(self, name: str, binding: int = SUM) -> str:
        """A name as it is written where it must bind that tightly."""
        if name not in self.texts:
            return self.scope(name)
        own, text = self.texts[name]
        return text if own >= binding else f"({text})"

    def statements(self, ops: Iterable[Op], keep: Set[str]) -> Iterator[str]:
        """A line for each op that is kept, read twice, or named by an equation."""
        ops = list(ops)
        self.constants(ops)
        for op in ops:
            if op.kind == "constant":
                continue
            binding, text = self._expression(op)
            if op.out in keep or self.read.get(op.out, 0) != 1 or op.out.rpartition(".")[2] in self.named:
                yield from wrapped(f"    {self.scope(op.out)} = {text}")
            else:
                self.texts[op.out] = (binding, text)

    def _expression(self, op: Op) -> tuple[int, str]:
        if op.kind in ("stack", "join"):
            axis = 0 if op.kind == "stack" else -1
            return ATOM, f"np.concatenate([{', '.join(self.text(a) for a in op.args)}], axis={axis})"
        if op.kind not in OPERATORS:
            inside = [*(self.text(a) for a in op.args), *map(number_text, op.numbers)]
            return ATOM, f"{op.kind}({', '.join(inside)})"
        binding, needs, template = OPERATORS[op.kind]
        args = [self.text(a, need) for a, need in zip(op.args, needs, strict=True)]
        if op.kind in ("rows", "columns", "block"):
            start, stop = map(self.scope.size, op.numbers)
            return binding, template.format(*args, start="" if start == "0" else start, stop=stop)
        return binding, template.format(*args, *map(number_text, op.numbers))


def number_text(value: Any) -> str:
    """An exact number as Python writes the nearest float; a whole one without its point."""
    return str(value) if value.is_Integer and abs(value) < 2**53 else repr(float(value))


def wrapped(line: str) -> Iterator[str]:
    """A statement, broken over lines where it is too long for one."""
    if len(line) <= WIDTH:
        yield line
        return
    margin = " " * (len(line) - len(line.lstrip()))
    head, inside, tail = _broken(line.strip())
    yield margin + head
    yield from textwrap.wrap(
        inside,
        WIDTH,
        initial_indent=margin + "    ",
        subsequent_indent=margin + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield margin + tail


def _broken(statement: str) -> tuple[str, str, str]:
    """A statement in three: inside the call that ends it, or else in brackets of its own around its longer side."""
    for opening in ("np.concatenate([", "("):
        start = statement.find(opening) + len(opening)
        called = start > len(opening) and (opening != "(" or re.match(r"\w", statement[start - 2]))
        stop = _closing(statement, start)
        if called and statement[stop:] in (")", "):", "], axis=0)", "], axis=-1)"):
            return statement[:start], statement[start:stop].rstrip(",") + ",", statement[stop:]
    if statement.startswith("return "):
        return "return (", statement.removeprefix("return "), ")"
    left, _, right = statement.partition(" = ")
    return ("(", left, f") = {right}") if len(left) > len(right) else (f"{left} = (", right, ")")


def _closing(text: str, start: int) -> int:
    """Where the bracket closes that opens just before `start`."""
    depth = 1
    for position in range(start, len(text)):
        depth += (text[position] in "([") - (text[position] in ")]")
        if depth == 0:
            return position
    return len(text)
