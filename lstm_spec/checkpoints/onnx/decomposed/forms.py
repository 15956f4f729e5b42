"""A sum of constant matrices times values of the run, plus constant vectors, as a value; and parts of it.

Nothing is loaded: a part is a constant that is worked out when its values are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lstm_spec.checkpoints.files import Array
from lstm_spec.checkpoints.onnx.calls import Result
from lstm_spec.checkpoints.onnx.folding import fold_result
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value

Variable = tuple[int, str]  # the graph that defines it, its name there


@dataclass(frozen=True, slots=True)
class Term:
    """`matrix` (rows × columns) times the value `name` of the graph `scope`; `rows` of what `origin` names."""

    scope: Scope
    name: str
    matrix: Value
    origin: tuple[str, ...]
    rows: tuple[int, int]

    @property
    def variable(self) -> Variable:
        return id(self.scope), self.name


@dataclass(frozen=True, slots=True)
class Form:
    """The sum of the terms and the biases, each bias a vector or one number; `diagonals` are terms of a vector each."""

    terms: tuple[Term, ...] = ()
    biases: tuple[Value, ...] = ()
    diagonals: tuple[Term, ...] = ()

    def __add__(self, other: Form) -> Form:
        return Form(self.terms + other.terms, self.biases + other.biases, self.diagonals + other.diagonals)

    @property
    def width(self) -> int | None:
        """How many rows it has; None without a term."""
        widths = {term.matrix.tensor.shape[0] for term in self.terms}
        return widths.pop() if len(widths) == 1 else None


class Unclear(Exception):
    """Why a value, or the step that it belongs to, cannot be read, in words; and how much of it had been by then."""

    def __init__(self, reason: str, progress: int = 0) -> None:
        super().__init__(reason)
        self.progress = progress


def vector_of(value: Value, contents: Contents) -> Value:
    """A constant that every sample gets: one number, or a vector as the last axis of ones; others stay as they are."""
    shape = value.tensor.shape
    if any(size != 1 for size in shape[:-1]):
        return value
    flat = shape[-1:]
    return value if shape == flat else derive(value.tensor.name, flat, [value], contents, lambda a: a[0].reshape(flat))


def rows_of(term: Term, start: int, stop: int, contents: Contents) -> Term:
    shape = (stop - start, term.matrix.tensor.shape[1])
    matrix = derive(term.matrix.tensor.name, shape, [term.matrix], contents, lambda a: a[0][start:stop])
    return Term(term.scope, term.name, matrix, term.origin, (term.rows[0] + start, term.rows[0] + stop))


def entries_of(bias: Value, start: int, stop: int, contents: Contents) -> Value:
    if bias.tensor.shape in ((), (1,)):
        return bias
    shape = (*bias.tensor.shape[:-1], stop - start)
    return derive(bias.tensor.name, shape, [bias], contents, lambda a: a[0][..., start:stop])


def columns(term: Term, start: int, stop: int, contents: Contents) -> Value:
    """Some columns of a term's matrix: those that one part of a joined value meets."""
    shape = (term.matrix.tensor.shape[0], stop - start)
    return derive(term.matrix.tensor.name, shape, [term.matrix], contents, lambda a: a[0][:, start:stop])


def total(biases: Sequence[Value], rows: int, contents: Contents) -> Value | None:
    """The sum of the biases, `rows` long; None where there is none."""
    if not biases:
        return None
    if len(biases) == 1 and biases[0].tensor.shape == (rows,):
        return biases[0]
    if any(bias.tensor.shape not in ((), (1,), (rows,)) for bias in biases):
        return None

    def add(arrays: list[Array]) -> Array:
        return np.broadcast_to(sum(arrays[1:], arrays[0]), (rows,))

    return derive(biases[0].tensor.name, (rows,), list(biases), contents, add)


def derive(
    name: str, shape: tuple[int, ...], values: list[Value], contents: Contents, compute: Callable[[list[Array]], Array]
) -> Value:
    """A constant worked out from others."""
    result = Result(shape, values[0].tensor.dtype, tuple(value.tensor for value in values), compute)
    return fold_result(result, values, name, name, contents)
