"""oneDNN's own LSTM primitive, called through its C API: no compiler is needed, only the shared library.

Comes in: float32 arrays under the names of the primitive's arguments. Goes out: dst_layer, dst_iter and dst_iter_c.
The numbers are those of oneapi/dnnl/dnnl_types.h and dnnl_common_types.h, version 3.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

CPU, F32, IN_ORDER, FORWARD_INFERENCE = 1, 3, 1, 96
MOST_AXES = 12
DIRECTIONS = {"left2right": 1, "right2left": 2, "bidirectional_concat": 3, "bidirectional_sum": 4}
SOURCES = {"src_layer": 1, "src_iter": 2, "src_iter_c": 3}
WEIGHTS = {
    "weights_layer": 33,
    "weights_iter": 34,
    "weights_peephole": 35,
    "weights_projection": 36,
    "bias": 41,
}
RESULTS = {"dst_layer": 17, "dst_iter": 18, "dst_iter_c": 19}
ARGUMENTS = SOURCES | WEIGHTS | RESULTS  # in the order in which the primitive's description takes them

Sizes = ctypes.c_int64 * MOST_AXES


class Argument(ctypes.Structure):
    """dnnl_exec_arg_t."""

    _fields_ = (("number", ctypes.c_int), ("memory", ctypes.c_void_p))


class Version(ctypes.Structure):
    """The start of dnnl_version_t."""

    _fields_ = (("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int))


class OneDnnError(Exception):
    """A call that did not return dnnl_success: the status's number."""


def find_library() -> str | None:
    """Where pip puts libdnnl, or where the system has it."""
    beside = Path(sys.prefix) / "lib" / "libdnnl.so.3"
    return str(beside) if beside.exists() else ctypes.util.find_library("dnnl")


class OneDnn:
    """The library, with a CPU engine and one stream. Objects live as long as the process: it is short."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        self._engine, self._stream = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("engine_create", ctypes.byref(self._engine), CPU, ctypes.c_size_t(0))
        self._call("stream_create", ctypes.byref(self._stream), self._engine, ctypes.c_uint(IN_ORDER))

    @property
    def version(self) -> tuple[int, int, int]:
        """`(3, 2, 0)`."""
        self._library.dnnl_version.restype = ctypes.POINTER(Version)
        found = self._library.dnnl_version().contents
        return found.major, found.minor, found.patch

    def run_lstm(self, direction: str, given: Mapping[str, np.ndarray], width: int) -> tuple[np.ndarray, ...]:
        """dst_layer `(T, B, width)`, dst_iter and dst_iter_c of the shapes of src_iter and src_iter_c.

        An argument that is not given is a zero descriptor, which switches its part off. Raises OneDnnError when the
        primitive cannot be made.
        """
        time, batch, _ = given["src_layer"].shape
        results = {
            "dst_layer": np.full((time, batch, width), np.nan, np.float32),
            "dst_iter": np.full_like(given["src_iter"], np.nan),
            "dst_iter_c": np.full_like(given["src_iter_c"], np.nan),
        }
        arrays = {name: np.ascontiguousarray(a, np.float32) for name, a in (given | results).items()}
        described = {name: self._describe(a) for name, a in arrays.items()}
        primitive = self._make(direction, described)
        memories = [self._hold(described[name], a) for name, a in arrays.items()]
        numbers = [ARGUMENTS[name] for name in arrays]
        passed = (Argument * len(arrays))(*(Argument(n, m.value) for n, m in zip(numbers, memories, strict=True)))
        self._call("primitive_execute", primitive, self._stream, len(arrays), passed)
        self._call("stream_wait", self._stream)
        return tuple(arrays[name] for name in RESULTS)

    def _make(self, direction: str, described: Mapping[str, ctypes.c_void_p]) -> ctypes.c_void_p:
        description, primitive = ctypes.c_void_p(), ctypes.c_void_p()
        in_order = [described.get(name) for name in ARGUMENTS]
        chosen = FORWARD_INFERENCE, DIRECTIONS[direction]
        made = ctypes.byref(description)
        no_flags, no_attributes = ctypes.c_uint(0), None
        self._call(
            "lstm_forward_primitive_desc_create", made, self._engine, *chosen, *in_order, no_flags, no_attributes
        )
        self._call("primitive_create", ctypes.byref(primitive), description)
        return primitive

    def _describe(self, array: np.ndarray) -> ctypes.c_void_p:
        """Plain rows: tnc, ldnc, ldigo, ldgo, ldio. NumPy's own stride of an axis of 1 may be anything."""
        description = ctypes.c_void_p()
        sizes, strides = Sizes(*array.shape), Sizes(*(prod(array.shape[i + 1 :]) for i in range(array.ndim)))
        self._call("memory_desc_create_with_strides", ctypes.byref(description), array.ndim, sizes, F32, strides)
        return description

    def _hold(self, description: ctypes.c_void_p, array: np.ndarray) -> ctypes.c_void_p:
        memory = ctypes.c_void_p()
        at = ctypes.c_void_p(array.ctypes.data)
        self._call("memory_create", ctypes.byref(memory), description, self._engine, at)
        return memory

    def _call(self, name: str, *arguments: object) -> None:
        if status := getattr(self._library, f"dnnl_{name}")(*arguments):
            raise OneDnnError(f"dnnl_{name} returned the status {status}")
