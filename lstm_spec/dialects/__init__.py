"""Where frameworks differ, as data: the constants of each, with a cited source; and pack and unpack for all of them."""

from __future__ import annotations

from collections.abc import Mapping

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.equinox import EQUINOX
from lstm_spec.dialects.flax import FLAX, FLAX_NNX, FLAX_NNX_OPTIMIZED
from lstm_spec.dialects.haiku import HAIKU
from lstm_spec.dialects.keras import KERAS
from lstm_spec.dialects.mlx import MLX
from lstm_spec.dialects.native import NATIVE
from lstm_spec.dialects.onnx import ONNX
from lstm_spec.dialects.openvino import OPENVINO
from lstm_spec.dialects.packing import PackedTensor, Packing
from lstm_spec.dialects.pytorch import PYTORCH
from lstm_spec.dialects.tf1 import TF1, TF1_COUPLED
from lstm_spec.dialects.tf_keras import CUDNN_LSTM, TF_KERAS
from lstm_spec.dialects.tinygrad import TINYGRAD
from lstm_spec.errors import Finding, OptionError, safe

EXECUTED = (
    *(PYTORCH, KERAS, ONNX, TF_KERAS, TF1, OPENVINO),
    *(FLAX, FLAX_NNX, FLAX_NNX_OPTIMIZED, HAIKU, EQUINOX, MLX, TINYGRAD),
)
CITED = (CUDNN_LSTM, TF1_COUPLED)
DIALECTS: Mapping[str, Dialect] = {d.name: d for d in (*EXECUTED[:3], NATIVE, *EXECUTED[3:], *CITED)}


def get(name: str) -> Dialect:
    """The dialect of that name. Raises OptionError when there is none."""
    if name not in DIALECTS:
        raise OptionError(Finding("dialect", f"no dialect is called {safe(name, 40)}", expected=", ".join(DIALECTS)))
    return DIALECTS[name]


__all__ = ["DIALECTS", "Dialect", "PackedTensor", "Packing", "get"]
