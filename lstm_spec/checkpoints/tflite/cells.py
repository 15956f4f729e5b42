"""TFLite's operators as they stand, and two ways in which a cell hides among them: one matrix for all gates, or none.

The BASIC kernel's matrix is cut into gates; additions that look like a cell's c' are pointed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lstm_spec.checkpoints.files import Array, malformed
from lstm_spec.checkpoints.tflite.flatbuffer import Table
from lstm_spec.layers.tensors import Tensor

ADD, MUL, TANH = 0, 18, 28
# LOGISTIC; RELU, RELU6, MAXIMUM, MINIMUM and RELU_0_TO_1, of which a hard sigmoid is made; SUB, as in 1 - z
GATES = {14, 19, 21, 41, 55, 57, 152}


@dataclass(frozen=True, slots=True)
class Node:
    """One operator as it stands: its code, the name of a custom one, its tensors, its options."""

    code: int
    custom: str
    inputs: list[int]
    outputs: list[int]
    options: Table | None


@dataclass(frozen=True, slots=True)
class Block:
    """Returns the rows of one gate, and some of its columns, of a matrix that holds all gates."""

    load: Any
    rows: slice
    columns: slice | None

    def __call__(self) -> Array:
        whole: Array = self.load()
        return np.ascontiguousarray(whole[self.rows] if self.columns is None else whole[self.rows, self.columns])


def split_basic(wired: Mapping[str, Tensor | None], where: str) -> Iterator[tuple[str, Tensor]]:
    """The BASIC kernel's one matrix (4k, n + k) on [x, h], rows i, g, f, o, as a tensor for each gate."""
    w, b = wired.get("W"), wired.get("b")
    if w is None or b is None:
        return
    k = b.shape[0] // 4 if len(b.shape) == 1 else 0
    if k < 1 or b.shape != (4 * k,) or len(w.shape) != 2 or w.shape[0] != 4 * k or w.shape[1] <= k:
        raise malformed(
            "shape",
            "the LSTM's matrix and bias do not fit together",
            where=where,
            expected="(4*k, n + k) and (4*k,)",
            found=f"{w.shape} and {b.shape}",
        )
    n = w.shape[1] - k
    parts = (("W", w, slice(0, n), (k, n)), ("U", w, slice(n, n + k), (k, k)), ("b", b, None, (k,)))
    for family, source, columns, shape in parts:
        for number, gate in enumerate("igfo"):
            load = Block(source.load, slice(number * k, (number + 1) * k), columns) if source.load else None
            yield f"{family}_{gate}", replace(source, shape=shape, load=load, sources=(source.name,))


def gated_sums(nodes: list[Node]) -> Iterator[Node]:
    """The additions of two gated values, one of which is a tanh."""
    made = {node.outputs[0]: node for node in nodes if node.outputs}

    def inputs_of(place: int, code: int) -> list[int]:
        node = made.get(place)
        return node.inputs if node and node.code == code else []

    def is_made(place: int, code: int) -> bool:
        return place in made and made[place].code == code

    for node in nodes:
        products = [inputs_of(place, MUL) for place in node.inputs] if node.code == ADD else []
        gates = [any(p in made and made[p].code in GATES for p in product) for product in products]
        gated = [gate and any(is_made(p, TANH) for p in product) for gate, product in zip(gates, products, strict=True)]
        if len(products) == 2 and all(gates) and any(gated):
            yield node
