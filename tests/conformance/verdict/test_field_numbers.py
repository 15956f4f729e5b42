"""Numbers that people published of real models, asked of check: sizes solved back, counts, and shapes of states."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls

torch = pytest.importorskip("torch", reason="torch is not installed")


def zeros(**shapes):
    return {name: np.zeros(shape, "float32") for name, shape in shapes.items()}


def only(tensors, **options):
    """The one layer of a report that conforms."""
    report = ls.check(tensors, numbers=False, **options)
    assert report.ok, str(report)
    (found,) = report.layers
    return found.to_dict()


def test_two_biases_of_cudnn_and_one_of_keras():
    """Bidirectional, 300 to 300: 1,444,800 with cuDNN's biases, 1,442,400 with Keras's; Stack Overflow 60353094."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    assert only(torch.nn.LSTM(300, 300, bidirectional=True))["parameters"] == "1444800"
    live = keras.layers.Bidirectional(keras.layers.LSTM(300))
    live.build((1, 2, 300))
    report = ls.check(live, numbers=False)
    assert sum(int(found.to_dict()["parameters"]) for found in report.layers) == live.count_params() == 1_442_400


@pytest.mark.parametrize(
    ("n", "k", "count"), [(4096, 256, 4_457_472), (25, 100, 50_400), (1, 9, 396), (3, 50, 10_800), (1, 1, 12)]
)
def test_counts_of_keras(n, k, count):
    found = only(zeros(kernel=(n, 4 * k), recurrent_kernel=(k, 4 * k), bias=(4 * k,)))
    assert (found["sizes"], found["parameters"]) == ({"n": n, "k": k}, str(count))


def test_counts_of_pytorch():
    assert only(torch.nn.LSTM(64, 64))["parameters"] == "33280"
    assert only(torch.nn.LSTM(300, 512, num_layers=2))["parameters"] == "3768320"


def test_elmo_is_solved_from_its_fused_arrays():
    """(1024, 16384) and (4096, 512): n = 512, a projection to 512, k = 4096; by name and without one."""
    shapes = {"kernel": (1024, 16384), "bias": (16384,), "projection/kernel": (4096, 512)}
    named = {f"rnn/lstm_cell/{name}": np.zeros(shape, "float32") for name, shape in shapes.items()}
    found = only(named)
    assert (found["dialect"], found["sizes"]) == ("tf1", {"n": 512, "r": 512, "k": 4096})
    (finding,) = ls.check(zeros(a=shapes["kernel"], b=shapes["projection/kernel"]), numbers=False).findings
    assert (finding.code, finding.found) == (
        "ambiguous",
        "tf1, n = 512, r = 512, k = 4096: a = kernel, b = projection/kernel",
    )


@pytest.mark.parametrize(("shape", "n", "k"), [((256, 168), 168, 64), ((400, 30), 30, 100)])
def test_sizes_are_read_off_the_input_weights(shape, n, k):
    """The UVR and RoNIN checkpoints."""
    arrays = zeros(weight_ih_l0=shape, weight_hh_l0=(4 * k, k), bias_ih_l0=(4 * k,), bias_hh_l0=(4 * k,))
    assert only(arrays)["sizes"] == {"n": n, "k": k}
    unnamed = dict(zip("ab", (arrays["weight_ih_l0"], arrays["weight_hh_l0"]), strict=True))
    (finding,) = ls.check(unnamed, numbers=False).findings
    assert finding.found.splitlines()[0] == f"pytorch, n = {n}, k = {k}: a = weight_ih_l0, b = weight_hh_l0"


@pytest.mark.parametrize("batch_first", [True, False])
def test_states_of_both_directions(batch_first):
    """256 to 512, T = 10, B = 4: h is (2, 4, 512) whatever the layout of x; y is (4, 10, 1024), batch first."""
    live = torch.nn.LSTM(256, 512, bidirectional=True, batch_first=batch_first)
    x = (4, 10, 256) if batch_first else (10, 4, 256)
    assert ls.check(live, x, (2, 4, 512), (2, 4, 512), numbers=False).ok
    y, (h, c) = live(torch.zeros(x))
    assert (tuple(y.shape[-1:]), tuple(h.shape), tuple(c.shape)) == ((1024,), (2, 4, 512), (2, 4, 512))
    (finding,) = ls.check(live, x, (4, 2, 512), numbers=False).findings
    assert (finding.code, finding.help) == ("state", "h.transpose(0, 1)")
    (finding,) = ls.check(live, (x[1], x[0], 256), (2, 4, 512), numbers=False).findings
    assert finding.because == "h has as many samples as x has steps: batch and time of x look swapped"


def test_shapes_with_a_projection():
    live = torch.nn.LSTM(7, 12, num_layers=2, bidirectional=True, proj_size=5)
    found = {row["name"]: tuple(row["expected"]) for row in only(live)["tensors"]}
    assert found["weight_hh_l0"] == (48, 5)
    assert found["weight_hr_l0"] == (5, 12)
    assert found["weight_ih_l1"] == (48, 10)
    assert ls.check(live, (3, 2, 7), (4, 2, 5), (4, 2, 12), numbers=False).ok
    assert [f.code for f in ls.check(live, (3, 2, 7), (4, 2, 12), (4, 2, 12), numbers=False).findings] == ["state"]


@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_an_unequal_backward_layer(merge):
    """Keras 3.15 builds it without a word and announces twice the forward width; a sum fails when it is called."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    lstm = keras.layers.LSTM
    live = keras.layers.Bidirectional(
        lstm(2, name="f"), merge_mode=merge, backward_layer=lstm(5, go_backwards=True, name="b"), name="both"
    )
    live.build((1, 7, 6))
    report = ls.check(live, numbers=False)
    (finding,) = report.findings
    severity, because = {
        "concat": ("warning", "y is 7 wide, and Keras announces 4"),
        "sum": ("error", "merge_mode = sum needs equal widths"),
    }[merge]
    assert str(finding) == (
        f"{severity}[bidirectional]: the two layers of both differ: units = 2 forward, 5 backward\n"
        "  at       both\n"
        "  expected one width in both directions\n"
        "  found    72 + 240 = 312 parameters\n"
        f"  because  {because}\n"
        "  help     give backward_layer the same units, or leave it out"
    )
    assert report.ok == (severity == "warning")
    assert live.count_params() == 312
    assert (
        ls.check(keras.Sequential([keras.layers.Input((7, 6)), live]), numbers=False).findings[0].at.endswith(": both")
    )
    if merge == "concat":
        assert live.compute_output_shape((1, 7, 6)) == (1, 4)
        assert tuple(live(keras.ops.zeros((1, 7, 6))).shape) == (1, 7)


# ---- shapes that say too little ----

SOLUTIONS = {
    "n = k": (
        {"a": (16, 4), "b": (16, 4)},
        "pytorch, n = 4, k = 4: a = weight_ih_l0, b = weight_hh_l0\n"
        "pytorch, n = 4, k = 4: b = weight_ih_l0, a = weight_hh_l0\n"
        "equinox, n = 4, k = 4: a = weight_ih, b = weight_hh\n"
        "equinox, n = 4, k = 4: b = weight_ih, a = weight_hh\n"
        "mlx, n = 4, k = 4: a = Wx, b = Wh\n"
        "mlx, n = 4, k = 4: b = Wx, a = Wh",
    ),
    "fused, 4k or 3k": (
        {"a": (8, 12), "b": (12,)},
        "tf1, n = 5, k = 3: a = kernel, b = bias\n"
        "haiku, n = 5, k = 3: a = linear/w, b = linear/b\n"
        "tf1-coupled, n = 4, k = 4: a = W_0, b = B",
    ),
    "4k of an LSTM or 3k of a GRU": (
        {"a": (12, 3), "b": (12, 4)},
        "pytorch, n = 4, k = 3: b = weight_ih_l0, a = weight_hh_l0\n"
        "equinox, n = 4, k = 3: b = weight_ih, a = weight_hh\n"
        "mlx, n = 4, k = 3: b = Wx, a = Wh\n"
        "a GRU, n = 3, k = 4: a on x, b on h, gates as rows",
    ),
    "the same in columns": (
        {"a": (3, 12), "b": (4, 12), "c": (12,)},
        "keras, n = 4, k = 3: b = kernel, a = recurrent_kernel, c = bias\n"
        "flax-nnx-optimized, n = 4, k = 3: b = dense_i/kernel, a = dense_h/kernel, c = dense_h/bias\n"
        "a GRU, n = 3, k = 4: a on x, b on h, gates as columns",
    ),
}


@pytest.mark.parametrize("case", SOLUTIONS)
def test_all_solutions_are_told(command, tmp_path, case):
    """And what would decide; exit 1."""
    shapes, expected = SOLUTIONS[case]
    (finding,) = ls.check(zeros(**shapes), numbers=False).findings
    assert (finding.code, finding.found) == ("ambiguous", expected)
    assert finding.help == (
        "name the dialect (--dialect), or the tensors; one recorded step would decide: lstm-spec identify --step"
    )
    np.savez(tmp_path / "m.npz", **zeros(**shapes))
    assert command("check", tmp_path / "m.npz").code == 1


def test_shapes_that_only_a_gru_has():
    (finding,) = ls.check(zeros(a=(12, 5), b=(12, 4), c=(12,), d=(12,)), numbers=False).findings
    assert str(finding) == (
        "error[unread]: names and operators say nothing, and the shapes are a GRU's; this version reads LSTMs\n"
        "  at       arrays\n"
        "  found    a GRU, n = 5, k = 4: a on x, b on h, gates as rows"
    )
