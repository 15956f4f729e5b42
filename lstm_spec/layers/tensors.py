"""What a reader hands on: a file's or a live layer's tensors, by name, with the operators that use them.

Comes out of `checkpoints/` and `frameworks/`, goes into `conformance/`. Shapes are known at once; values are read
only when `Tensor.read` is called. Says nothing of what a tensor means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lstm_spec.errors import Finding

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named array that may not have been read yet.

    `dtype` is NumPy's name ("float32") or the file's own where NumPy has none ("bfloat16").
    `load` returns the array; None where only the shape is to be had (an unknown dtype, external data that is missing).
    `sources` names the tensors that a tensor is worked out from, where the file does not hold it as it is; `outside`
    tells that its values lie in another file.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], np.ndarray[Any, Any]] | None = field(default=None, compare=False, repr=False)
    sources: tuple[str, ...] = ()
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Operator:
    """A recurrent operator or live layer that says itself how it uses its tensors.

    `kind` is the operator's type ("LSTM", "GRU", "RNN"); `where` its path for people; `tensors` maps its own
    input names ("W", "R", "B", "P", "initial_h", …) to names in `Tensors`, only those that are constants;
    `absent` names inputs that are wired but are not constants (computed at run time);
    `attributes` are its options, as plain Python values; `declared` are shapes that the source claims for inputs that
    are no constants, with None for a size that it leaves open; `reasons` say of absent inputs why they are; `opset` is
    the version of the operators that the graph is written in, 0 where there is none.
    """

    kind: str
    where: str
    tensors: Mapping[str, str]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    declared: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)
    opset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Flow:
    """The order in which data runs through the recurrent layers of a source.

    `runs` are their places, one run for each part that hangs together; `behind` has for a place, as bits, the numbers
    of those whose output it sees, counted through all runs. `wired` tells that the order follows from what reads what;
    `listed` that the source lists its layers in an order of their own, too, by which they are numbered and loaded, and
    which is the only one where they are not wired.
    """

    runs: tuple[tuple[str, ...], ...] = ()
    behind: Mapping[str, int] = field(default_factory=dict)
    wired: bool = True
    listed: bool = False


NO_FLOW = Flow()


@dataclass(frozen=True, slots=True)
class Tensors(Mapping[str, Tensor]):
    """Tensors by name in the order of their source; `format` is "safetensors", "npz", "onnx", "torch", …

    `origin` is the live object or the path for people; `live` the object itself, where there is one.
    `findings` are what the reader itself has to say (a subgraph it did not enter, say). `flow` is the
    order of its layers, empty where the source does not say it, as a plain set of tensors does not.
    """

    origin: str
    format: str
    by_name: Mapping[str, Tensor]
    operators: tuple[Operator, ...] = ()
    findings: tuple[Finding, ...] = ()
    live: Any = field(default=None, compare=False, repr=False)
    flow: Flow = NO_FLOW

    def __getitem__(self, name: str) -> Tensor:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)


def float32_text(value: float) -> str:
    """A number that an operator holds as float32, in its shortest decimal: `0.2`, not `0.200000003`."""
    import numpy as np

    return np.format_float_positional(np.float32(value), trim="-")
