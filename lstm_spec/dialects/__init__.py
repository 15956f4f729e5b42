"""Where frameworks differ, as data: the constants of each, with a cited source; and pack and unpack for all of them.

packing           one kind of tensor ↔ the parameters in it
dialect           `Dialect`: a framework's kinds of tensors, names, layout and equations; a layer's arrays ↔ its tensors
expressing        which layers a dialect has a place for; the refusal of the others
pytorch, keras …  a table each, with its source
onnx_node         what an ONNX node says beside its tensors; `keras_activations` what Keras names
blocks, facts     a table → what people are told of it
glossary          people's words → ours, from the entries in `words` and `words_for_parts`
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from lstm_spec.dialects.burn import BURN
from lstm_spec.dialects.candle import CANDLE
from lstm_spec.dialects.chainer import CHAINER, CHAINER_NSTEP
from lstm_spec.dialects.cmsis_nn import CMSIS_NN
from lstm_spec.dialects.coreml import COREML
from lstm_spec.dialects.cudnn import CUDNN
from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.embarc import EMBARC
from lstm_spec.dialects.equinox import EQUINOX
from lstm_spec.dialects.flax import FLAX, FLAX_NNX, FLAX_NNX_OPTIMIZED
from lstm_spec.dialects.haiku import HAIKU
from lstm_spec.dialects.kaldi import KALDI, KALDI_FAST
from lstm_spec.dialects.keras import KERAS
from lstm_spec.dialects.keras_1 import KERAS_1
from lstm_spec.dialects.lasagne import LASAGNE
from lstm_spec.dialects.madmom import MADMOM
from lstm_spec.dialects.matlab import MATLAB
from lstm_spec.dialects.mlx import MLX
from lstm_spec.dialects.mxnet import MXNET
from lstm_spec.dialects.native import NATIVE
from lstm_spec.dialects.onednn import ONEDNN
from lstm_spec.dialects.onnx import ONNX
from lstm_spec.dialects.openvino import OPENVINO
from lstm_spec.dialects.packing import PackedTensor, Packing
from lstm_spec.dialects.pytorch import PYTORCH
from lstm_spec.dialects.sonnet import SONNET
from lstm_spec.dialects.tf1 import TF1, TF1_COUPLED
from lstm_spec.dialects.tf_keras import CUDNN_LSTM, TF_KERAS
from lstm_spec.dialects.tflite import TFLITE, TFLITE_BASIC
from lstm_spec.dialects.tinygrad import TINYGRAD
from lstm_spec.dialects.webnn import WEBNN
from lstm_spec.errors import Finding, OptionError, safe

# In the order in which people look for them; where two have the same names, the first is the one that is read.
DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        *(PYTORCH, KERAS, ONNX, NATIVE, TF_KERAS, TF1, OPENVINO),
        *(FLAX, FLAX_NNX, FLAX_NNX_OPTIMIZED, HAIKU, EQUINOX, MLX, TINYGRAD),
        *(MXNET, CHAINER, CHAINER_NSTEP, LASAGNE, MADMOM, SONNET, TFLITE, TFLITE_BASIC, TF1_COUPLED, KERAS_1),
        *(CUDNN_LSTM, CUDNN, ONEDNN, CMSIS_NN, EMBARC, COREML, BURN, CANDLE, KALDI, KALDI_FAST, MATLAB, WEBNN),
    )
}


def get(name: str) -> Dialect:
    """The dialect of that name. Raises OptionError when there is none."""
    if name not in DIALECTS:
        near = get_close_matches(str(name).lower(), DIALECTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        help = f"{hint}lstm-spec dialects lists them"
        raise OptionError(Finding("dialect", f"no dialect is called {safe(name, 40)}", help=help))
    return DIALECTS[name]


__all__ = ["DIALECTS", "Dialect", "PackedTensor", "Packing", "get"]
