"""A node over constants, as a rule of `foldable` sees it: its inputs, its attributes, and what comes out.

Source: the operators' schemas, opsets 1 to 22, for what stood in attributes once and stands in inputs now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from lstm_spec.checkpoints.files import Array
from lstm_spec.layers.tensors import Tensor

if TYPE_CHECKING:
    from onnx import AttributeProto

MAX_NUMBERS = 64  # of the small integers that a rule looks at: axes and bounds, as many as there are axes
Compute = Callable[[list[Array]], Array]


@dataclass(frozen=True, slots=True)
class Result:
    """What a node makes: its shape and dtype, and its values from the values of `inputs`."""

    shape: tuple[int, ...]
    dtype: str
    inputs: tuple[Tensor, ...]
    compute: Compute


@dataclass(frozen=True, slots=True)
class Call:
    """A node with its inputs as constants (None where one is left out) and a way to ask for an attribute."""

    inputs: Sequence[Tensor | None]
    outputs: int
    index: int
    attribute: Callable[[str], AttributeProto | None]

    def tensor(self, number: int) -> Tensor | None:
        return self.inputs[number] if number < len(self.inputs) else None

    def number(self, name: str, default: int) -> int:
        found = self.attribute(name)
        return int(found.i) if found is not None else default

    def listed(self, name: str, place: int) -> list[int] | None:
        """Integers that stand in an attribute in older opsets, in an input in newer ones; None where in neither."""
        found = self.attribute(name)
        if found is not None:
            return list(found.ints)
        tensor = self.tensor(place)
        return integers(tensor) if tensor is not None else None

    def result(self, shape: Sequence[int], compute: Compute, *more: Tensor) -> Result:
        """The result with the dtype of the first input, computed from it and from `more`."""
        first = self.inputs[0]
        assert first is not None
        return Result(tuple(shape), first.dtype, (first, *more), compute)


class Unfoldable(Exception):
    """This call cannot be worked out here; the words say why."""


def integers(tensor: Tensor) -> list[int]:
    """The values of a small constant of whole numbers. Raises Unfoldable for any other."""
    small = len(tensor.shape) <= 1 and prod(tensor.shape) <= MAX_NUMBERS
    if tensor.dtype not in ("int32", "int64") or not small or tensor.load is None or tensor.outside:
        raise Unfoldable("its axes or bounds are no short list of whole numbers")
    return [int(number) for number in tensor.load().reshape(-1)]


def axis_of(axis: int, rank: int) -> int:
    """The axis, counted from the front. Raises Unfoldable when there is none."""
    if not -rank <= axis < rank:
        raise Unfoldable(f"it has no axis {axis}")
    return axis % rank


def first_of(call: Call) -> Tensor:
    """The first input. Raises Unfoldable when it is left out."""
    if (tensor := call.tensor(0)) is None:
        raise Unfoldable("it has no input")
    return tensor
