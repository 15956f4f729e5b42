"""Where frameworks differ, as data: the constants of each, with a cited source; and pack and unpack for all of them."""

from __future__ import annotations

from collections.abc import Mapping

from lstm_spec.dialects.dialect import Dialect, PackedTensor, Packing
from lstm_spec.dialects.keras import KERAS
from lstm_spec.dialects.keras_1 import KERAS_1
from lstm_spec.dialects.native import NATIVE
from lstm_spec.dialects.onnx import ONNX
from lstm_spec.dialects.pytorch import PYTORCH
from lstm_spec.errors import Finding, OptionError, safe

DIALECTS: Mapping[str, Dialect] = {d.name: d for d in (PYTORCH, KERAS, KERAS_1, ONNX, NATIVE)}


def get(name: str) -> Dialect:
    """The dialect of that name. Raises OptionError when there is none."""
    if name not in DIALECTS:
        raise OptionError(Finding("dialect", f"no dialect is called {safe(name, 40)}", expected=", ".join(DIALECTS)))
    return DIALECTS[name]


__all__ = ["DIALECTS", "Dialect", "PackedTensor", "Packing", "get"]
