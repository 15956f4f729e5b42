"""Keras: `keras.layers.LSTM`.

Source: keras/src/layers/rnn/lstm.py of Keras 3.15 (kernel n×4k and recurrent_kernel k×4k, columns i, f, c, o; one bias;
`unit_forget_bias` changes the initial value only). Compared with the framework in the tests.
"""

from __future__ import annotations

import re

from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import Packing

PATTERN = re.compile(r"(?s)(?P<prefix>(?:.*[/.])?)(?P<tensor>recurrent_kernel|kernel|bias)(?::0)?")

KERAS = Dialect(
    name="keras",
    title="keras.layers.LSTM: gates i, f, c, o as columns; one bias or none",
    source="keras/src/layers/rnn/lstm.py, Keras 3.15",
    packings=(
        Packing("kernel", ("W_{}",), "ifgo", transposed=True),
        Packing("recurrent_kernel", ("U_{}",), "ifgo", transposed=True),
        Packing("bias", ("b_{}",), "ifgo", option=("bias", "one")),
    ),
    pattern=PATTERN,
    template="{tensor}",
    separator="/",
    batch_first=True,
    states_apart=True,
    ranks=(3,),
    step_ranks=(2,),
    outside=("gate_activation", "candidate_activation", "output_activation"),
    together=("candidate_activation", "output_activation"),
    engine="keras",
    assumed=(("activation = tanh", ""), ("recurrent_activation = sigmoid", ""), ("go_backwards = False", "")),
    realigned=False,
    padding="repeats the last output; zero with zero_output_for_mask",
    traps=(
        "hard_sigmoid is z / 6 + 0.5; in Keras 1 and 2 it was 0.2 z + 0.5",
        "unit_forget_bias adds 1 to the initial value only, never in the equation",
        "go_backwards leaves the output in reversed time; Bidirectional puts it back",
        "y[:, -1] of a Bidirectional holds the first step of the backward layer, unless return_sequences is off",
        "where the first step is masked out, its output is h0 on NumPy and JAX, 0 on torch",
        "dropout is drawn once for a sequence; with recurrent_dropout the fused kernel is left, for four masks",
        "a fresh layer's bias is 1 for the forget gate, 0 for the others: the block of ones tells the order",
    ),
)
