"""tf.keras 2 and tf_keras: `LSTM`, and `CuDNNLSTM` of TensorFlow 1 with its two biases.

Source: tf_keras/src/layers/rnn/lstm.py, lstm_v1.py and cudnn_lstm.py of tf_keras 2.21. LSTM is packed as in Keras 3.
What differs leaves no trace: TensorFlow 1's LSTM (lstm_v1.py) has recurrent_activation = hard_sigmoid, 0.2 z + 0.5.
CuDNNLSTM hands its columns to cuDNN as they lie in memory (canonical_to_params without transpose_weights), and keeps
cuDNN's two biases in one vector of 8k. It needs a GPU: not run, but held in the tests to tf_keras's own converter
between the two, saving/legacy/hdf5_format.py, and to the weight space that the layer itself hands to cuDNN.
"""

from __future__ import annotations

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.keras import KERAS, PATTERN
from lstm_spec.dialects.packing import Packing

ASSUMED = (
    ("activation = tanh", ""),
    ("recurrent_activation = sigmoid (hard_sigmoid in the LSTM of TensorFlow 1)", ""),
    ("go_backwards = False", ""),
)

TF_KERAS = Dialect(
    name="tf-keras",
    title="tf.keras 2's LSTM: gates i, f, c, o as columns; one bias or none",
    source="tf_keras/src/layers/rnn/lstm.py, tf_keras 2.21",
    packings=KERAS.packings,
    pattern=PATTERN,
    template="{tensor}",
    separator="/",
    claims=frozenset(),
    batch_first=True,
    states_apart=True,
    ranks=(3,),
    step_ranks=(2,),
    outside=KERAS.outside,
    together=KERAS.together,
    assumed=ASSUMED,
    realigned=False,
    padding="repeats the last output",
    traps=("an old file's hard_sigmoid is 0.2 z + 0.5; Keras 3 computes z / 6 + 0.5 under the same name",),
)
CUDNN_LSTM = Dialect(
    name="tf-keras-cudnn",
    title="tf.keras's CuDNNLSTM: gates i, f, c, o as columns, each in cuDNN's own order; two biases in one vector",
    source="tf_keras/src/layers/rnn/cudnn_lstm.py, tf_keras 2.21",
    packings=(
        Packing("kernel", ("W_{}",), "ifgo", transposed=True, reshaped=True),
        Packing("recurrent_kernel", ("U_{}",), "ifgo", transposed=True, reshaped=True),
        Packing("bias", ("b_W{}", "b_U{}"), "ifgo", option=("bias", "two")),
    ),
    always=frozenset({"bias"}),
    pattern=PATTERN,
    template="{tensor}",
    separator="/",
    claims=frozenset(),
    batch_first=True,
    states_apart=True,
    ranks=(3,),
    step_ranks=(2,),
    assumed=(("go_backwards = False", ""),),
    evidence="published",
    realigned=False,
    traps=(
        "each gate's (n, k) columns are cuDNN's (k, n) matrix in its own order, and not turned as LSTM's are",
        "its bias has 8k numbers where LSTM's has 4k: the two halves are added",
    ),
)
