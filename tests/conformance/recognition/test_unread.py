"""What looks recurrent and is in no reading: other cells, lone tensors, names in no dialect; and no LSTM at all."""

from __future__ import annotations

import pytest

import lstm_spec as ls
from lstm_spec.errors import TensorError
from tests.conformance.sets import drawn, keras_names, messages, torch_names


@pytest.mark.parametrize("cell", [True, False])
@pytest.mark.parametrize(("gates", "kind"), [(3, "GRU"), (1, "simple RNN")])
def test_another_cell_in_pytorchs_names(gates, kind, cell):
    tensors = torch_names("enc.", gates=gates, cell=cell) | drawn({"fc.weight": (2, 4)})
    report = ls.check(tensors)
    assert messages(report) == [
        f"error[unread]: enc is a {kind}, by the rows of its recurrent matrix; this version reads LSTMs\n"
        f"  at       arrays : {', '.join(name for name in tensors if name.startswith('enc'))}"
    ]
    assert (report.ok, report.layers, report.other) == (False, (), ("fc.weight",))


@pytest.mark.parametrize("biases", [(12,), (2, 12), None])
def test_a_gru_in_keras_names(biases):
    """With `reset_after` its bias has two rows."""
    tensors = keras_names("gru/gru_cell/", gates=3, bias=False)
    tensors |= drawn({"gru/gru_cell/bias": biases} if biases else {})
    (finding,) = ls.check(tensors).findings
    assert finding.message == "gru/gru_cell is a GRU, by the rows of its recurrent matrix; this version reads LSTMs"


def test_a_gru_beside_an_lstm_is_not_passed_over():
    report = ls.check(torch_names("a.") | torch_names("b.", gates=3), numbers=False)
    assert ([f.where for f in report.layers], report.ok) == (["a"], False)
    assert report.verdict == "does not conform: 1 LSTM layer, 1 error"


def test_a_gru_of_our_own_is_no_lstm(tmp_path):
    layer = ls.Layer(ls.cells.get("gru"), n=3, k=4)
    layer.random(0).save(tmp_path / "gru.npz")
    assert not ls.check(tmp_path / "gru.npz").ok


@pytest.mark.parametrize(
    "name",
    [
        "lstm.i2h.weight",
        "decoder/rnn/weights",
        "my_GRU_matrix",
        "weight_hh_l0_extra",
        "enc/weight_ih_l0",
        "x\nweight_hh_l0",
        "weight_ih_l9999",
    ],
)
def test_a_recurrent_name_in_no_reading_is_unread(name):
    report = ls.check(torch_names("enc.") | drawn({name: (16, 4)}), numbers=False)
    assert [f.code for f in report.findings] == ["unread"]
    assert not report.ok
    assert name not in report.other


def test_lone_biases_are_unread():
    report = ls.check(torch_names("enc.") | drawn({"dec.bias_ih_l0": (16,), "dec.bias_hh_l0": (16,)}), numbers=False)
    assert [f.found for f in report.findings] == ["dec.bias_ih_l0 (16,), dec.bias_hh_l0 (16,)"]


MISSING = (
    "error[missing]: {0}weight_hh_l0 is missing\n"
    "  at       arrays{1} : {0}weight_hh_l0\n"
    "  expected (4*k, k) = (16, 4)\n"
    "  found    no such tensor"
)


@pytest.mark.parametrize("prefix", ["", "enc."])
def test_a_layer_without_its_recurrent_matrix(prefix):
    """What is there says what is missing."""
    tensors = torch_names(prefix)
    del tensors[f"{prefix}weight_hh_l0"]
    report = ls.check(tensors)
    assert messages(report) == [MISSING.format(prefix, f" : {prefix[:-1]}" if prefix else "")]
    assert str(report).splitlines()[0] == f"{prefix[:-1] or 'arrays'}: pytorch, n = 3, k = 4, forward, two biases"
    assert (report.ok, report.other) == (False, ())


def test_a_stack_without_a_recurrent_matrix():
    tensors = {n: a for n, a in torch_names(layers=2, both=True).items() if "weight_hh" not in n}
    assert [f.message for f in ls.check(tensors).findings] == [
        f"weight_hh_{cell} is missing" for cell in ("l0", "l0_reverse", "l1", "l1_reverse")
    ]


@pytest.mark.parametrize(("k", "others"), [(4, "a simple RNN"), (6, "a simple RNN or a GRU")])
def test_without_a_recurrent_matrix_it_may_be_another_cell(k, others):
    """PyTorch has one set of names for the three."""
    tensors = {n: a for n, a in torch_names(k=k).items() if n != "weight_hh_l0"}
    words = f"as an LSTM; without a recurrent matrix, {others} of another width has these shapes too"
    assert f"  assumed {words}\n" in str(ls.check(tensors))


def test_without_a_recurrent_matrix_rows_of_three_gates_are_unread():
    tensors = {n: a for n, a in torch_names(k=5, gates=3).items() if n != "weight_hh_l0"}
    assert [f.code for f in ls.check(tensors).findings] == ["unread"]


def test_all_that_is_missing_is_told():
    tensors = {n: a for n, a in torch_names().items() if n not in ("weight_hh_l0", "bias_ih_l0")}
    assert [f.message for f in ls.check(tensors).findings] == ["weight_hh_l0 is missing", "bias_ih_l0 is missing"]


def test_without_any_matrix_nothing_tells_the_width_of_x():
    tensors = {n: a for n, a in torch_names().items() if n.startswith("bias")}
    assert [f.code for f in ls.check(tensors).findings] == ["unread"]


def test_a_name_inside_a_told_name_is_still_told():
    """`rnn.w` is part of the text of `rnn.weight_ih_l0`'s finding, and no part of what it tells."""
    tensors = torch_names("rnn.", gates=3) | drawn({"rnn.w": (16, 4)})
    assert len(ls.check(tensors).findings) == 2


def test_no_lstm_at_all():
    with pytest.raises(TensorError) as caught:
        ls.check(drawn({"fc.weight": (2, 4), "fc.bias\x1b[31m": (2,)}))
    assert str(caught.value) == (
        "error[no-lstm]: there is no LSTM here\n"
        "  at       arrays\n"
        "  expected names such as weight_ih_l0, recurrent_kernel or l0.W_f, or an ONNX operator LSTM\n"
        "  found    2 tensors: fc.weight, fc.bias\\x1b[31m"
    )
    with pytest.raises(TensorError) as caught:
        ls.read(drawn({f"fc{i}.weight": (2, 4) for i in range(8)}))
    assert str(caught.value).splitlines()[-1] == (
        "  found    8 tensors: fc0.weight, fc1.weight, fc2.weight, fc3.weight, fc4.weight and 3 more"
    )
    with pytest.raises(TensorError, match="no tensors at all"):
        ls.check({})


def test_what_is_unread_is_why_nothing_can_be_read():
    with pytest.raises(TensorError, match=r"^error\[unread\]: enc is a GRU"):
        ls.read(torch_names("enc.", gates=3))


@pytest.mark.parametrize("name", ["enc.weight_ih_l0", "enc.bias_ih_l0"])
def test_one_tensor_alone_is_no_layer_that_lacks_the_rest(name):
    report = ls.check({name: torch_names("enc.")[name]}, numbers=False)
    assert report.layers == ()
    assert [finding.code for finding in report.findings] == ["unread"]
