"""How far from a recorded step a right convention may be: one rule for `identify` and for `check --step`.

The narrowest dtype that anything was stored or recorded in decides. Errors are relative to the largest entry of c'
and h'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lstm_spec.conformance.recognition.loading import HALVES, narrowest
from lstm_spec.layers.tensors import Tensor

# A right convention in float32 misses by 1e-7 to 1e-6; hard_sigmoid for sigmoid with weights of 0.01 by 1e-4. A
# float64 recording may come from float32 arithmetic. PyTorch's own cells, n = k = 6 to 512, miss by up to 1.0e-3 in
# float16 and 7.4e-3 in bfloat16; weights that were rounded to them, by 4e-4 and 2.6e-3.
TOLERANCE = {"float64": 1e-5, "float32": 2e-5, "float16": 1e-2, "bfloat16": 3e-2}
# Below it no two hypotheses are told apart.
NOISE = {"float64": 1e-11, "float32": 4e-6, "float16": 4e-3, "bfloat16": 2e-2}


@dataclass(frozen=True, slots=True)
class Limit:
    """The dtype that decides, and what may be told in it."""

    dtype: str

    @property
    def tolerance(self) -> float:
        """The largest error of a convention that fits."""
        return TOLERANCE[self.dtype]

    @property
    def noise(self) -> float:
        """The error below which two conventions fit equally well."""
        return NOISE[self.dtype]


def limit_of(stored: Iterable[str], step: Any) -> Limit:
    """The limit for weights that were stored in some dtypes, beside a step that was recorded in another."""
    return Limit(narrowest((*stored, str(step))))


def stored_dtype(tensor: Tensor, array: Any) -> str:
    """What a tensor keeps of its numbers: `bfloat16` too, which is loaded as float32."""
    return tensor.dtype if tensor.dtype in HALVES else str(array.dtype)


def error_text(error: float) -> str:
    """An error for people: `0`, `0.35`, `2e-07`."""
    return "0" if not error else f"{error:.2g}" if error >= 0.001 else f"{error:.0e}"
