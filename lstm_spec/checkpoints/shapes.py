"""Foreign numbers → a shape, or an error. Multiplies in Python's integers, allocates nothing."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from lstm_spec.checkpoints.files import malformed
from lstm_spec.errors import safe

# NumPy 1 stops at 32 axes, NumPy 2 at 64; a recurrent layer has at most 3.
MAX_RANK = 32
# 100 000 tensors cost about 100 MB of Python objects.
MAX_TENSORS = 100_000
# NumPy addresses an array with a signed 64-bit byte count; its widest number has 16 bytes.
MAX_ELEMENTS = 2**63 // 16


def checked_shape(dims: Iterable[object], name: str) -> tuple[int, ...]:
    """`dims` as a shape that an array can have. Raises Malformed for anything that is no size (bool is none)."""
    found = tuple(dims)
    shape = tuple(d for d in found if type(d) is int and 0 <= d < 2**63)
    if len(shape) != len(found):
        raise _bad_shape(name, "sizes from 0 to 2**63 - 1", safe(list(found[:MAX_RANK])))
    if len(shape) > MAX_RANK:
        raise _bad_shape(name, f"at most {MAX_RANK} axes", f"{len(shape)} axes")
    if prod(max(d, 1) for d in shape) >= MAX_ELEMENTS:
        raise _bad_shape(name, "a shape that an array can have", safe(list(shape)))
    return shape


def _bad_shape(name: str, expected: str, found: str) -> Exception:
    return malformed("shape", f"the shape of {safe(name)} is not one", expected=expected, found=found)


def check_count(count: int) -> None:
    """Raises Malformed when a file names more tensors than are read."""
    if count > MAX_TENSORS:
        raise malformed("too-large", "the file names too many tensors", expected=f"at most {MAX_TENSORS}")
