"""The notations people learnt, as data: what each calls our names, and where that was read.

Our names are left, theirs right; `|` is the subscript's place, and `+` one that is typed without an underscore. What a
school has no symbol for keeps ours. Signs of operations are the equation language's own: a space is the matrix
product, * is entry by entry, σ is the logistic sigmoid.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.symbolic.notation import GRU, Notation, Remark

LSTM = frozenset({"c", "c'", "h'", "f", "o"})

COLAH = Notation(
    name="colah",
    title="Christopher Olah, Understanding LSTM Networks, 2015",
    source="colah.github.io/posts/2015-08-Understanding-LSTMs, read in copies of its equations",
    vectors={"c": "C", "g": "C~"},
    gates={"g": "C"},
    gru_vectors={"g": "h~"},
    gru_gates={"g": ""},
    join="hx",
    order=("f", "i", "g", "c'", "o", "h'"),
    remarks=(Remark("colah's z is 1 - z here: h_t = (1 - z_t) * h_{t-1} + z_t * h~_t", GRU, frozenset({"c"})),),
)

NG = Notation(
    name="ng",
    title="Andrew Ng, Deep Learning Specialization, course 5, week 1",
    source="the assignment Building your Recurrent Neural Network - Step by Step, read in copies of it",
    style="angle",
    vectors={"h": "a", "g": "c~", "i": "Γ|u", "f": "Γ|f", "o": "Γ|o"},
    gates={"i": "u", "g": "c"},
    gru_vectors={"r": "Γ|r"},
    join="hx",
    order=("f", "i", "g", "c'", "o", "h'"),
    remarks=(
        Remark("the code of the assignment calls W_u and b_u Wi and bi", LSTM | {"W_i"}, frozenset({"W_u"})),
        Remark("Ng's update gate Γ_u is 1 - z here, so z keeps its name", GRU, frozenset({"c"})),
    ),
)

GREFF = Notation(
    name="greff",
    title="Greff et al., LSTM: A Search Space Odyssey, 2017",
    source="arXiv:1503.04069; names as in the authors' code, IDSIA/brainstorm brainstorm/layers/lstm_layer.py",
    style="superscript",
    vectors={"h": "y", "g": "z"},
    gates={"g": "z"},
    kinds={"U": "R|{}"},
    order=("g", "i", "f", "c'", "o", "h'"),
)

GRAVES = Notation(
    name="graves",
    title="Graves, Generating Sequences With Recurrent Neural Networks, 2013, equations 7 to 11",
    source="arXiv:1308.0850, read in copies of its equations",
    gates={"g": "c"},
    kinds={"W": "W|x{}", "U": "W|h{}", "p": "W|c{}"},
    order=("i", "f", "g", "c'", "o", "h'"),
    remarks=(
        Remark("the paper writes what g is into the equation of c and gives it no name", LSTM | {"g"}),
        Remark("W_ci, W_cf and W_co are diagonal matrices in the paper, so vectors here", frozenset({"p_i", "p_o"})),
    ),
)

KERAS = Notation(
    name="keras",
    title="Keras 3, LSTMCell and GRUCell",
    source="keras/src/layers/rnn/lstm.py and gru.py, 3.15",
    style="tm1",
    vectors={"g": "c~"},
    gates={"g": "c"},
    gru_vectors={"g": "hh"},
    gru_gates={"g": "h"},
    kinds={
        "W": "kernel|{}",
        "U": "recurrent_kernel|{}",
        "b": "bias|{}",
        "b_W": "input_bias|{}",
        "b_U": "recurrent_bias|{}",
    },
    form="rows",
    order=("i", "f", "g", "c'", "o", "h'"),
    remarks=(
        Remark("vectors are rows, x W: kernel_i is a block of columns of kernel; h_tm1 is h a step earlier"),
        Remark("the code writes what c~ is into the line of c and gives it no name", LSTM | {"g"}),
        Remark("Keras has one bias a gate in its LSTM; the names of two are those of its GRU", LSTM | {"b_Wf"}),
    ),
)

PYTORCH = Notation(
    name="pytorch",
    title="PyTorch, torch.nn.LSTM and GRU",
    source="torch/nn/modules/rnn.py, 2.13, docstrings",
    gru_vectors={"g": "n"},
    gru_gates={"g": "n"},
    kinds={"W": "W|i{}", "U": "W|h{}", "b_W": "b|i{}", "b_U": "b|h{}"},
    whole={"W_proj": "W|hr", "W": "W|ih", "U": "W|hh"},
    order=("r", "z", "i", "f", "g", "o", "c'", "h'"),
    remarks=(
        Remark("PyTorch has two biases a gate, b_ii and b_hi: --bias two", frozenset({"b_i", "b_o"}) | LSTM),
        Remark("PyTorch has no peepholes: p keeps its name", frozenset({"p_o"})),
        Remark("PyTorch's GRU resets after the product: --cell gru-two-biases", GRU, frozenset({"c", "b_Ug"})),
    ),
)

ONNX = Notation(
    name="onnx",
    title="ONNX, operators LSTM and GRU",
    source="onnx.defs.get_schema('LSTM').doc, opset 22",
    style="compact",
    vectors={"x": "X", "h": "H", "c": "C", "g": "c"},
    gates={"g": "c"},
    gru_vectors={"g": "h"},
    gru_gates={"g": "h"},
    kinds={"W": "W+{}", "U": "R+{}", "p": "P+{}", "b": "b+{}", "b_W": "Wb+{}", "b_U": "Rb+{}"},
    form="rows transposed",
    biases_last=True,
    output="Y",
    order=("i", "f", "g", "c'", "o", "h'"),
    remarks=(
        Remark("vectors are rows, X W^T; σ and tanh are the defaults of the specification's f, g and h"),
        Remark("ONNX has two biases a gate, Wbi and Rbi: --bias two", frozenset({"b_i", "b_o"}) | LSTM),
    ),
)

TF1 = Notation(
    name="tf1",
    title="TensorFlow 1, BasicLSTMCell, LSTMCell and GRUCell",
    source="tf_keras/src/layers/rnn/legacy_cells.py, 2.21; tensorflow/python/ops/rnn_cell_impl.py",
    style="new",
    vectors={"g": "j"},
    gates={"g": "j"},
    gru_vectors={"z": "u", "g": "c"},
    gru_gates={"z": "u", "g": "c"},
    kinds={"b": "bias|{}"},
    whole={"W_proj": "projection_kernel", **{f"p_{gate}": f"w_{gate}_diag" for gate in "ifo"}},
    join="xh",
    joined="kernel|{}",
    form="rows",
    order=("i", "g", "f", "o", "c'", "h'"),
    remarks=(
        Remark("vectors are rows, [x, h] W: kernel_i is a block of columns of kernel; new_h is h after the step"),
        Remark("in TensorFlow's code i, j, f and o are the values before sigmoid and tanh", LSTM | {"i", "g"}),
    ),
)

SLATER = Notation(
    name="slater",
    title="y for the output, as attributed to an answer by Neil Slater",
    source="not verified: the answer was searched for and not found; the attribution says only that y is the output",
    vectors={"h": "y"},
)

UDACITY = Notation(
    name="udacity",
    title="Udacity, Deep Learning Nanodegree: Learn, Forget, Remember and Use",
    source="the lesson on LSTMs, read in four independent notes of it",
    vectors={"x": "E", "h": "STM", "c": "LTM", "g": "N", "o": "V"},
    gates={"g": "n", "o": "v"},
    join="hx",
    order=("g", "i", "f", "c'", "o", "h'"),
    remarks=(
        Remark(
            "not the cell that Udacity teaches: its Use gate is STM_t = V_t * tanh(W_u (f_t * LTM_{t-1}) + b_u);"
            " that one is --cell udacity",
            LSTM,
            frozenset({"W_u"}),
        ),
    ),
)

NOTATIONS: Mapping[str, Notation] = {
    n.name: n for n in (COLAH, NG, GREFF, GRAVES, KERAS, PYTORCH, ONNX, TF1, SLATER, UDACITY)
}


def get(name: str) -> Notation:
    """The notation of that name. Raises OptionError when there is none."""
    if name not in NOTATIONS:
        near = get_close_matches(name.lower(), NOTATIONS, n=1)
        raise OptionError(
            Finding(
                "notation",
                f"no notation is called {safe(name, 40)}",
                expected=", ".join(NOTATIONS),
                help=f"did you mean {near[0]}?" if near else "",
            )
        )
    return NOTATIONS[name]
