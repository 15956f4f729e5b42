"""A state that an ONNX graph spreads over its samples: from which constants it comes, whatever the number of samples.

With an open batch, PyTorch's exporters make zeros, or a learned state, by Expand, Tile or ConstantOfShape of sizes that
are known only at run time. The values are those of constants all the same: no value of the graph's inputs is in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

from lstm_spec.checkpoints.onnx.folding import DOMAINS, fold
from lstm_spec.checkpoints.onnx.initializers import tensor_of
from lstm_spec.checkpoints.onnx.scopes import Contents, Scope, Value, label_of
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor

if TYPE_CHECKING:
    from onnx import NodeProto

# What hands on the values of its first input, or of all; the others are sizes, axes and places.
ONE = frozenset(("Identity", "Cast", "Expand", "Tile", "Reshape", "Flatten", "Unsqueeze", "Squeeze", "Transpose"))
PICKS = frozenset(("Slice", "Split", "Gather"))  # the places say which values
FILL = "ConstantOfShape"
# What sizes are reckoned with.
SIZES = ONE | PICKS | {FILL, "Concat", "Add", "Sub", "Mul", "Div", "Min", "Max", "Equal", "Where", "Range"}
MAX_STEPS = 200  # names that are followed from one state
MAX_LOOKED_AT = 2**16  # elements that are searched for something but 0, for one state
MOST_SHOWN = 3


@dataclass(slots=True)
class Walk:
    """The constants that are found, by the words for them; whether the samples may differ."""

    found: dict[str, Tensor] = field(default_factory=dict)
    picks: list[tuple[str, Scope]] = field(default_factory=list)
    may_differ: bool = False
    work: int = 0

    def add(self, value: Value, contents: Contents) -> None:
        """A constant; one that is too much work to look at goes without its values."""
        tensor = value.tensor
        sources = (contents.tensors[key] for key in tensor.sources if key in contents.tensors)
        self.work += value.cost + prod(tensor.shape) + sum(prod(source.shape) for source in sources)
        affordable = self.work <= MAX_LOOKED_AT
        self.found[safe(tensor.name, 60)] = tensor if affordable else replace(tensor, load=None)

    def from_node(self, node: NodeProto, scope: Scope, contents: Contents) -> list[str] | None:
        """The inputs whose values the node hands on; None where it makes values of its own."""
        inputs = list(node.input)
        if node.domain not in DOMAINS or not inputs:
            return None
        if node.op_type == FILL:
            value = scope.attribute(node, "value")
            words = safe(scope.join(label_of(node)), 60)
            if value is not None:
                self.add(Value(tensor_of(value.t, words, contents.path)), contents)
            return []
        if node.op_type == "Concat":
            self.may_differ = True
            return inputs
        if node.op_type in PICKS:
            self.picks += [(name, scope) for name in inputs[1:] if name]
        elif node.op_type not in ONE:
            return None
        self.may_differ |= node.op_type in ("Transpose", "Reshape")
        return inputs[:1]


def spread(name: str, scope: Scope, contents: Contents) -> str | None:
    """From which constants a value that is no constant is spread, in words; "" from zeros alone, None from others."""
    walk = Walk()
    stack = [(name, scope)]
    seen: set[tuple[int, str]] = set()
    while stack:
        one, where = stack.pop()
        owner, own = where.owner(one)
        if (id(owner), own) in seen:
            continue
        seen.add((id(owner), own))
        value = fold(own, owner, contents)
        if not isinstance(value, str):
            walk.add(value, contents)
            continue
        made = owner.made.get(own)
        needed = walk.from_node(made.node, owner, contents) if made else None
        if needed is None or len(seen) > MAX_STEPS:
            return None
        stack += [(name, owner) for name in needed if name]
    named = [words for words, tensor in walk.found.items() if not _is_zero(tensor)]
    if not named:
        return ""
    if not all(_is_size(one, where, contents) for one, where in walk.picks):
        return None
    same = all(_folded(one, where, contents) for one, where in walk.picks)
    same = same and all(_is_one_sample(tensor, walk.may_differ) for tensor in walk.found.values())
    shown = " and ".join(named[:MOST_SHOWN]) + " and others" * (len(named) > MOST_SHOWN)
    return f"{shown}, the same {'for every sample' if same else 'in every run'}"


def _is_zero(tensor: Tensor) -> bool:
    """A constant whose values are not to be had is taken to be something."""
    return tensor.load is not None and not tensor.load().any()


def _is_one_sample(tensor: Tensor, may_differ: bool) -> bool:
    """Whether the constant is the state of a single sample; (D, 1, k) is, where nothing turns or joins it."""
    if prod(tensor.shape[:-1]) == 1:
        return True
    return not may_differ and len(tensor.shape) == 3 and tensor.shape[1] == 1


def _folded(name: str, scope: Scope, contents: Contents) -> bool:
    return not isinstance(fold(name, scope, contents), str)


def _is_size(name: str, scope: Scope, contents: Contents) -> bool:
    """Whether a number follows from shapes and constants, and not from what the graph is given."""
    stack = [(name, scope)]
    seen: set[tuple[int, str]] = set()
    while stack:
        one, where = stack.pop()
        owner, own = where.owner(one)
        if (id(owner), own) in seen or _folded(own, owner, contents):
            continue
        seen.add((id(owner), own))
        made = owner.made.get(own)
        if made is None or made.node.domain not in DOMAINS or len(seen) > MAX_STEPS:
            return False
        if made.node.op_type in ("Shape", "Size"):
            continue
        if made.node.op_type not in SIZES:
            return False
        stack += [(name, owner) for name in made.node.input if name]
    return True
