"""cuDNN: the matrices and biases that `cudnnGetRNNWeightParams` gives out of its weight space.

Source: cuDNN Developer Guide, cudnnGetRNNLinLayerMatrixParams: linLayerID 0 to 3 are the input, forget, new memory and
output gates on x, 4 to 7 the same on h, 8 the projection. (The equations of the guide stand in another order than the
IDs.) The weight space has no names: those here are ours. Pseudo-layer = layer · D + direction. The weight space of one
layer is held in the tests to what TensorFlow 2.21, tf_keras 2.21, Keras 3.15 and Sonnet 2.0.2 hand to cuDNN, entry by
entry; the matrices of stacks, both directions and projections to TensorFlow 1.15.5's converter; and the equations to
the checksums of cuDNN's own sample (cudnn_samples_v8/RNN, golden_3.txt), forward and backward. It was not run itself.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

CUDNN = Dialect(
    name="cudnn",
    title="cuDNN: a matrix and a bias for each linLayerID, 0-3 i, f, g, o on x and 4-7 on h; projection",
    source="cuDNN Developer Guide, cudnnGetRNNLinLayerMatrixParams; cudnn_samples_v8/RNN; what TensorFlow packs",
    packings=(
        *(Packing(f"matrix_{i}", (f"W_{gate}",)) for i, gate in enumerate("ifgo")),
        *(Packing(f"matrix_{i + 4}", (f"U_{gate}",)) for i, gate in enumerate("ifgo")),
        Packing("matrix_8", ("W_proj",), option=("projection", True)),
        *(Packing(f"bias_{i}", (f"b_W{gate}",), option=("bias", "two")) for i, gate in enumerate("ifgo")),
        *(Packing(f"bias_{i + 4}", (f"b_U{gate}",), option=("bias", "two")) for i, gate in enumerate("ifgo")),
    ),
    pattern=re.compile(
        r"(?s)(?P<prefix>(?:.*[/.])?)layer(?P<layer>\d{1,3})(?P<reverse>_reverse)?/(?P<tensor>(?:matrix|bias)_\d)"
    ),
    template="layer{layer}{reverse}/{tensor}",
    claims=frozenset(),
    evidence="published",
    realigned=True,
    padding="zero",
    assumed=(("bias mode double (its default)", "b_Wf"), ("no clip", "")),
    traps=(
        "the guide writes its equations as i, f, o, c' and numbers its matrices i, f, c', o",
        "the weight space holds all matrices of all layers first, then all biases",
        "a layer with one bias leaves a set of zeros: the first from Keras (b_U is its bias), the second from Sonnet",
    ),
)
