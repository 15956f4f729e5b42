"""The entries of the glossary, in the order in which they are listed: sizes, a cell's parts, a layer over time."""

from __future__ import annotations

from lstm_spec.dialects.glossary import KERAS, ONNX, PYTORCH, TF1, Entry, Meaning
from lstm_spec.dialects.words_for_parts import PARTS

SIZES = (
    Entry(
        ("units", "hidden_size", "num_units", "hidden units", "hidden_dim", "lstm_size", "neurons", "n_a", "k"),
        "k, the number of hidden units: the rows of c, and of h where nothing projects it",
        (
            Meaning("Keras", "units: k", KERAS),
            Meaning("PyTorch", "hidden_size: k", PYTORCH),
            Meaning("TensorFlow 1", "num_units: k", TF1),
            Meaning("ONNX", "hidden_size: k", ONNX),
            Meaning("Andrew Ng", "n_a: k", "Deep Learning Specialization, course 5, week 1, in copies"),
            Meaning("many answers", "neurons: k; each of the k has 4 gates' weights, so it is no single sum", "usage"),
        ),
    ),
    Entry(
        ("features", "input_size", "input_dim", "feature size", "n_x", "n"),
        "n, the width of the input: x has n entries at each step",
        (
            Meaning("PyTorch", "input_size: n", PYTORCH),
            Meaning("Keras", "features: the last axis of the input (B, T, n)", KERAS),
            Meaning("Andrew Ng", "n_x: n; his data are (n_x, m, T_x)", "course 5, week 1, in copies"),
        ),
    ),
    Entry(
        ("state_size",),
        "the sizes of the states: k for c, and k or r for h",
        (
            Meaning("TensorFlow 1", "LSTMStateTuple(c, h): (k, k), or (k, r) with num_proj", TF1),
            Meaning("TensorFlow 1, state_is_tuple=False", "c and h joined in one tensor: 2k without num_proj", TF1),
            Meaning("Keras", "[k, k], in the order h, c", KERAS),
        ),
    ),
    Entry(
        ("projection", "proj_size", "num_proj", "recurrent projection", "LSTMP", "output_size"),
        "r, the rows of h where h = W_proj (o * tanh(c')): --projection r",
        (
            Meaning("PyTorch", "proj_size: r, with 0 < r < k; no bias", PYTORCH),
            Meaning("TensorFlow 1", "num_proj: r; no bias", TF1),
            Meaning("Kaldi, TFLite", "a projection with a bias; optional in TFLite", "xconfig lstm.py; lstm_eval.cc"),
        ),
    ),
    Entry(("batch", "batch_size", "samples", "m", "B"), "B, the sequences that are computed side by side"),
    Entry(
        ("timestep", "timesteps", "time step", "sequence length", "seq_len", "seq_length", "T_x", "steps", "T"),
        "T, the steps of a sequence; no size of the cell, and no weight depends on it",
        (Meaning("batches of different lengths", "lengths: one T a sequence, at most the array's", "lstm-spec"),),
    ),
    Entry(
        ("directions", "bidirectional", "num_directions", "D"),
        "D, 1 or 2: cells that read the input forward, backward, or both",
        (
            Meaning("PyTorch, Keras", "joins both outputs: width 2k (Keras: merge_mode concat)", f"{PYTORCH}; {KERAS}"),
            Meaning("ONNX", "keeps them apart: Y is [T, D, B, k]", ONNX),
        ),
    ),
    Entry(
        ("layer", "layers", "num_layers", "stack", "stacked", "L"),
        "L cells on each other, each reading the output of the one below: --layers L",
        (
            Meaning("Keras", "one LSTM layer is one cell over time; a stack is several layers", KERAS),
            Meaning("PyTorch, cuDNN", "num_layers: L inside one module", PYTORCH),
            Meaning("TensorFlow 1", "MultiRNNCell([cell] * L)", TF1),
        ),
    ),
)

OVER_TIME = (
    Entry(
        ("return_sequences",),
        "--output sequence or last: y of every step (T, B, k), or of the last (B, k)",
        (Meaning("Keras", "True: (B, T, k); False, the default: (B, k)", KERAS),),
    ),
    Entry(
        ("return_state", "final state", "last state"),
        "the final State: h and c after the last step; run always returns it",
        (Meaning("Keras", "True: the outputs are y, h, c", KERAS),),
    ),
    Entry(
        ("h_n", "h0", "h_0", "initial state", "Y_h"),
        "l0.h, l0.reverse.h, l1.h …: h after the last step, each (B, k); h0 is what it starts from",
        (
            Meaning("PyTorch", "h_n: (D·L, B, k), or r in place of k; row l·D + d", PYTORCH),
            Meaning("ONNX", "Y_h: [D, B, k]", ONNX),
        ),
    ),
    Entry(
        ("c_n", "c0", "c_0", "Y_c"),
        "l0.c, l0.reverse.c, l1.c …: c after the last step, each (B, k); c0 is what it starts from",
        (
            Meaning("PyTorch", "c_n: (D·L, B, k), with projection too", PYTORCH),
            Meaning("ONNX", "Y_c: [D, B, k]", ONNX),
        ),
    ),
    Entry(
        ("state order", "LSTMStateTuple", "(h, c)", "(c, h)"),
        "states go by name, so there is no order to remember",
        (
            Meaning("PyTorch, Keras", "(h, c)", f"{PYTORCH}; {KERAS}"),
            Meaning("TensorFlow 1, Flax", "(c, h)", f"{TF1}; flax/linen/recurrent.py"),
        ),
    ),
    Entry(
        ("batch_first", "time_major", "layout"),
        "--layout time is x (T, B, n); --layout batch is (B, T, n)",
        (
            Meaning("PyTorch", "batch_first=True: (B, T, n); h_n and c_n do not change", PYTORCH),
            Meaning("Keras 3", "(B, T, n) only; time_major is refused", KERAS),
            Meaning("TensorFlow 1", "time_major=True: (T, B, n)", "tensorflow/python/ops/rnn.py"),
            Meaning("ONNX", "layout=0: [T, B, n]; 1: [B, T, n]", ONNX),
        ),
    ),
    Entry(
        ("stateful", "statefulness"),
        "a run begins with zeros, or with the State that is given; it keeps nothing between calls",
        (Meaning("Keras", "stateful=True: a batch begins where the last one ended", KERAS),),
    ),
    Entry(
        ("go_backwards", "reverse", "backward"),
        "--reverse: reads from the last step to the first, and y is put back into the order of x",
        (Meaning("Keras", "go_backwards: y stays in reversed time; Bidirectional turns it", KERAS),),
    ),
    Entry(
        ("mask", "masking", "padding", "packed sequence", "PackedSequence", "sequence_lens", "sequence_length"),
        "lengths: the steps of each sequence; a step after its end keeps the states",
        (
            Meaning("PyTorch", "PackedSequence: outputs after the end are 0", PYTORCH),
            Meaning("Keras", "a boolean mask: outputs after the end repeat the last", KERAS),
            Meaning("ONNX Runtime", "sequence_lens: outputs after the end are 0", "ORT 1.31 run"),
        ),
    ),
)

ENTRIES: tuple[Entry, ...] = (*SIZES, *PARTS, *OVER_TIME)
