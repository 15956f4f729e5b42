"""The entries of the glossary for a cell's own parts: states, gates, parameters."""

from __future__ import annotations

from lstm_spec.dialects.glossary import KERAS, ONNX, PYTORCH, TF1, Entry, Meaning

PARTS = (
    Entry(
        ("cell", "memory cell", "LSTM cell"),
        "the equations of one step (lstm-spec equations); c is the cell state",
        (
            Meaning(
                "Hochreiter & Schmidhuber 1997", "one of the k units, a scalar", "Neural Computation 9(8), in notes"
            ),
            Meaning("Keras, PyTorch", "the module of one time step: LSTMCell", f"{KERAS}; {PYTORCH}"),
            Meaning("most papers", "the vector c of k entries", "usage"),
        ),
    ),
    Entry(
        ("cell state", "carry", "carry state", "C", "C_t", "c_t", "LTM", "long-term memory", "internal memory"),
        "c, the cell state; c' after the step",
        (
            Meaning("Keras", "carry: c", f"{KERAS}/lstm.py"),
            Meaning("Flax, JAX", "carry: both states, as (c, h)", "flax/linen/recurrent.py"),
            Meaning("Christopher Olah", "C", "Understanding LSTM Networks, in copies"),
            Meaning("Udacity", "LTM, long-term memory", "Deep Learning Nanodegree, in notes"),
            Meaning("Hochreiter, Gers", "s", "Neural Computation 9(8) and 12(10), in notes"),
        ),
    ),
    Entry(
        ("hidden state", "output", "h", "a", "y", "m_t", "STM", "short-term memory"),
        "h, the hidden state and output of the cell; h' after the step; y, h of every step",
        (
            Meaning("PyTorch", "output: h of every step of the last layer; h_n: of the last step", PYTORCH),
            Meaning("Greff et al. 2017", "y: h; z: our g", "arXiv:1503.04069"),
            Meaning("Andrew Ng", "a: h; y is the prediction made from it", "course 5, week 1, in copies"),
            Meaning("Udacity", "STM, short-term memory", "Deep Learning Nanodegree, in notes"),
            Meaning(
                "Sak 2014, TensorFlow 1",
                "m: o * tanh(c'); what projects it is the output",
                f"Interspeech 2014, in notes; {TF1}",
            ),
        ),
    ),
    Entry(
        ("gate", "gates"),
        "i, f, o: vectors of k entries between 0 and 1 that multiply another; g is listed with them",
        (
            Meaning("most papers", "i, f and o; g is no gate, for it multiplies nothing away", "usage"),
            Meaning("PyTorch, ONNX", "four: g is the cell gate", f"{PYTORCH}; {ONNX}"),
            Meaning("Udacity", "four groups: Learn, Forget, Remember, Use", "Deep Learning Nanodegree, in notes"),
        ),
    ),
    Entry(
        (
            *("candidate", "cell candidate", "new memory", "cell gate", "block input", "new information"),
            *("new_input", "g", "C~", "c~", "c tilde", "j", "z", "a", "N_t"),
        ),
        "g, the candidate: tanh(W_g x + U_g h + b_g)",
        (
            Meaning("PyTorch", "g, the cell gate", PYTORCH),
            Meaning("Olah, Ng", "C~ or c~, the candidate", "in copies"),
            Meaning("cuDNN", "new memory", "cuDNN developer guide"),
            Meaning("TensorFlow 1", "j, new_input", TF1),
            Meaning("Greff et al. 2017", "z, the block input", "arXiv:1503.04069"),
            Meaning("CoreML, xLSTM", "z", "coremltools 9.0; xlstm 2.0.6"),
            Meaning("ONNX", "c in lower case, the cell gate", ONNX),
            Meaning("Chainer", "a", "chainer/functions/rnn/lstm.py"),
            Meaning("Udacity", "N, new information", "Deep Learning Nanodegree, in notes"),
        ),
    ),
    Entry(
        ("input gate", "i", "update gate", "Γ_u", "Γ_i", "ignore factor"),
        "i, the input gate: what of g enters c",
        (
            Meaning("Andrew Ng", "Γ_u, the update gate; Wi and bi in his code", "course 5, week 1, in copies"),
            Meaning("Udacity", "i, the ignore factor of the Learn gate", "Deep Learning Nanodegree, in notes"),
            Meaning("a GRU", "update gate: z, another gate", "arXiv:1406.1078"),
        ),
    ),
    Entry(
        ("forget gate", "f", "φ", "phi", "Γ_f", "forget factor"),
        "f, the forget gate: what of c stays",
        (
            Meaning("Gers 2000", "φ", "Neural Computation 12(10), in notes"),
            Meaning("Andrew Ng", "Γ_f", "course 5, week 1, in copies"),
            Meaning("Udacity", "f, the forget factor of the Forget gate", "Deep Learning Nanodegree, in notes"),
        ),
    ),
    Entry(
        ("output gate", "o", "Γ_o", "V_t"),
        "o, the output gate: what of tanh(c') leaves as h'",
        (
            Meaning("Andrew Ng", "Γ_o", "course 5, week 1, in copies"),
            Meaning(
                "Udacity", "V, in the Use gate, which is not the standard one", "lstm-spec equations --cell udacity"
            ),
        ),
    ),
    Entry(
        ("input", "x", "x_t", "E_t", "event"),
        "x, the input of a step",
        (Meaning("Udacity", "E, the event", "Deep Learning Nanodegree, in notes"),),
    ),
    Entry(
        ("kernel", "weight_ih", "input weights", "W", "W_ih", "weights"),
        "W_i, W_f, W_g, W_o: a k×n matrix a gate, for x",
        (
            Meaning("PyTorch", "weight_ih_l0: 4k×n, gates i f g o one under the other", PYTORCH),
            Meaning("Keras", "kernel: n×4k, gates i f c o side by side", KERAS),
            Meaning("TensorFlow 1", "kernel: (n + k)×4k, for [x, h], gates i j f o", TF1),
            Meaning("ONNX", "W: [D, 4k, n], gates i o f c", ONNX),
            Meaning("Olah, Ng", "W_f: for [h, x], k×(k + n)", "in copies"),
        ),
    ),
    Entry(
        ("recurrent_kernel", "weight_hh", "recurrent weights", "U", "R", "W_hh", "lateral"),
        "U_i, U_f, U_g, U_o: a k×k matrix a gate (k×r with projection), for h",
        (
            Meaning("PyTorch", "weight_hh_l0: 4k×k", PYTORCH),
            Meaning("Keras", "recurrent_kernel: k×4k", KERAS),
            Meaning("ONNX, Greff et al. 2017", "R", f"{ONNX}; arXiv:1503.04069"),
        ),
    ),
    Entry(
        ("bias", "biases", "bias_ih", "bias_hh", "double bias"),
        "b_f: one a gate; b_Wf and b_Uf: two (--bias two)",
        (
            Meaning("Keras, TensorFlow 1", "one a gate: 4k", f"{KERAS}; {TF1}"),
            Meaning(
                "PyTorch, ONNX, cuDNN", "two a gate of an LSTM: 8k; only their sum counts there", f"{PYTORCH}; {ONNX}"
            ),
        ),
    ),
    Entry(
        ("peephole", "peepholes", "peephole connections", "w_f_diag", "P"),
        "p_i, p_f, p_o: i and f also see c, o sees c' (--peephole); P_f where it is a full matrix",
        (
            Meaning("Gers 2002, Graves, ONNX, TensorFlow 1", "a vector a gate, 3k", f"JMLR 3; {ONNX}; {TF1}"),
            Meaning("Olah, Chainer", "full k×k matrices", "Understanding LSTM Networks; chainer links/rnn/peephole.py"),
            Meaning("WebNN's baseline", "o sees c, not c'", "webnn-baseline/src/lstm_cell.js"),
        ),
    ),
    Entry(
        ("forget bias", "forget_bias", "unit_forget_bias"),
        "--forget-bias x: a constant in the equation of f; what training starts from is no part of a cell",
        (
            Meaning("TensorFlow 1", "forget_bias: added at every step, 1.0; not in the checkpoint", TF1),
            Meaning("Haiku", "1, added at every step", "haiku/_src/recurrent.py"),
            Meaning("Keras", "unit_forget_bias: the initial value of b_f is 1", KERAS),
        ),
    ),
    Entry(
        ("coupled", "CIFG", "input_forget", "coupled gates"),
        "--coupled f=1-i or i=1-f: one gate is 1 minus the other",
        (
            Meaning("Greff et al. 2017, ONNX Runtime, Burn", "f = 1 - i", "arXiv:1503.04069; ORT 1.31 run"),
            Meaning("TensorFlow 1, TFLite, Olah", "i = 1 - f", f"{TF1}; lstm_eval.cc"),
        ),
    ),
    Entry(
        ("z", "z gate"),
        "a GRU's update gate z: here h' = z * h + (1 - z) * g",
        (
            Meaning("PyTorch, Keras, ONNX, TensorFlow 1 (u)", "as here: z keeps h", f"{PYTORCH}; {KERAS}"),
            Meaning("Olah", "the other way round: z takes g", "Understanding LSTM Networks, in copies"),
        ),
    ),
    Entry(
        ("reset gate", "r", "reset_after", "linear_before_reset", "relevance gate", "Γ_r"),
        "a GRU's reset gate r; before the product (--cell gru) or after it (--cell gru-reset-after)",
        (
            Meaning("PyTorch, cuDNN, Keras 3", "after", f"{PYTORCH}; {KERAS}"),
            Meaning("ONNX", "before, unless linear_before_reset = 1", "onnx.defs.get_schema('GRU')"),
            Meaning("Andrew Ng", "Γ_r, the relevance gate", "course 5, week 1, in copies"),
        ),
    ),
)
