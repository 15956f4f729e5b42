"""`lstm-spec run`: arrays in, arrays out; a result is written whole or not at all."""

from __future__ import annotations

import os

import numpy as np
import pytest

import lstm_spec as ls


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with weights.npz and x.npz of a small layer."""
    monkeypatch.chdir(tmp_path)
    ls.lstm(3, 4).random(seed=0).save("weights.npz")
    np.savez("x.npz", x=np.random.default_rng(0).normal(size=(7, 2, 3)))
    return tmp_path


def arrays(path) -> dict[str, np.ndarray]:
    with np.load(path) as loaded:
        return dict(loaded)


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_it_writes_what_the_compiled_layer_returns(command, folder):
    outcome = command("run", "weights.npz", "--input", "x.npz", "--output", "y.npz")
    y, state = ls.compile(ls.lstm(3, 4))(arrays("x.npz")["x"], ls.lstm(3, 4).random(seed=0))
    assert_equal(arrays("y.npz"), {"y": y, "h": state["h"], "c": state["c"]})
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == "wrote y.npz: y (7, 2, 4), h (2, 4), c (2, 4)\n"


@pytest.mark.parametrize("names", [("h0", "c0"), ("l0.h0", "l0.c0")])
def test_it_begins_at_a_given_state(command, folder, names):
    rng = np.random.default_rng(1)
    x, h, c = rng.normal(size=(7, 2, 3)), rng.normal(size=(2, 4)), rng.normal(size=(2, 4))
    np.savez("x.npz", **{"x": x, names[0]: h, names[1]: c})
    assert command("run", "weights.npz", "--input", "x.npz", "--output", "y.npz").code == 0
    y, _ = ls.compile(ls.lstm(3, 4))(x, ls.lstm(3, 4).random(seed=0), {"l0.h": h, "l0.c": c})
    np.testing.assert_array_equal(arrays("y.npz")["y"], y)


def test_lengths_and_a_mask_of_them_are_one(command, folder):
    x, lengths = arrays("x.npz")["x"], np.array([7, 3])
    np.savez("a.npz", x=x, lengths=lengths)
    np.savez("b.npz", x=x, mask=np.arange(7)[:, None] < lengths)
    for name in "ab":
        assert command("run", "weights.npz", "--input", f"{name}.npz", "--output", f"{name}_y.npz").code == 0
    found = arrays("a_y.npz")
    assert_equal(found, arrays("b_y.npz"))
    assert not found["y"][3:, 1].any()
    np.testing.assert_array_equal(found["h"][1], found["y"][2, 1])


def test_padding_repeats_on_request(command, folder):
    np.savez("a.npz", x=arrays("x.npz")["x"], lengths=np.array([7, 3]))
    command("run", "weights.npz", "--input", "a.npz", "--output", "y.npz", "--padding", "repeat")
    y = arrays("y.npz")["y"]
    np.testing.assert_array_equal(y[3:, 1], np.broadcast_to(y[2, 1], (4, 4)))


def test_a_run_in_two_parts_is_one_run(command, folder):
    x = arrays("x.npz")["x"]
    command("run", "weights.npz", "--input", "x.npz", "--output", "whole.npz")
    np.savez("a.npz", x=x[:3])
    command("run", "weights.npz", "--input", "a.npz", "--output", "a_y.npz")
    first = arrays("a_y.npz")
    np.savez("b.npz", x=x[3:], h0=first["h"], c0=first["c"])
    command("run", "weights.npz", "--input", "b.npz", "--output", "b_y.npz")
    np.testing.assert_allclose(arrays("b_y.npz")["c"], arrays("whole.npz")["c"], rtol=0, atol=1e-14)


def test_a_stack_in_both_directions_keeps_full_names(command, folder):
    layer = ls.lstm(3, 4, layers=2, bidirectional=True)
    layer.random(seed=0).save("weights.npz")
    assert command("run", "weights.npz", "--input", "x.npz", "--output", "y.npz").code == 0
    y, state = ls.compile(layer)(arrays("x.npz")["x"], layer.random(seed=0))
    assert_equal(arrays("y.npz"), {"y": y, **state})


def test_options_that_leave_no_trace_are_given(command, folder):
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    np.savez("x.npz", x=x)
    options = ("--layout", "batch", "--forget-bias", "1", "--reverse")
    layer = ls.lstm(3, 4, layout="batch", forget_bias=1, reverse=True)
    layer.random(seed=0, dtype="float32").save("weights.npz")
    outcome = command("run", "weights.npz", "--input", "x.npz", "--output", "y.npz", *options)
    assert outcome.err == "wrote y.npz: y (2, 7, 4), h (2, 4), c (2, 4)\n"
    y, _ = ls.compile(layer)(x, layer.random(seed=0, dtype="float32"))
    np.testing.assert_array_equal(arrays("y.npz")["y"], y)


def test_a_cell_of_ones_own(command, folder):
    text = "input x[n]\nstate y[k], file[k]\noutput y\nfile' = tanh(W x + U y)\ny' = file' + b * file"
    (folder / "my.cell").write_text(text)
    layer = ls.Layer(ls.parse(text), n=3, k=4)
    layer.random(seed=0).save("weights.npz")
    outcome = command("run", "weights.npz", "--input", "x.npz", "--output", "y.npz", "--cell", "my.cell")
    assert outcome.code == 0, outcome.err
    y, state = ls.compile(layer)(arrays("x.npz")["x"], layer.random(seed=0))
    found = arrays("y.npz")
    np.testing.assert_array_equal(found["y"], y)
    assert set(found) == {"y", "l0.y", "file"}
    np.testing.assert_array_equal(found["l0.y"], state["l0.y"])


def test_the_same_answer_is_the_same_file(command, folder):
    for name in ("a.npz", "b.npz"):
        command("run", "weights.npz", "--input", "x.npz", "--output", name)
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()


def test_an_older_answer_is_replaced_with_its_permissions_from_the_umask(command, folder):
    (folder / "y.npz").write_bytes(b"old")
    previous = os.umask(0o027)
    try:
        command("run", "weights.npz", "--input", "x.npz", "--output", "y.npz")
    finally:
        os.umask(previous)
    assert set(arrays("y.npz")) == {"y", "h", "c"}
    assert (folder / "y.npz").stat().st_mode & 0o777 == 0o640


def refused(command, folder, *arguments):
    """The message; nothing was written."""
    before = sorted(os.listdir(folder))
    outcome = command("run", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert sorted(os.listdir(folder)) == before
    return outcome.err


ASK = ("weights.npz", "--input", "x.npz", "--output", "y.npz")
NAMES = "error[input]: the input does not have the layer's names\n  at       x.npz\n  expected x, h0, c0\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"h0": (2, 4), "c0": (2, 4)}, f"{NAMES}  found    missing: x\n  help     x, or x and every state\n"),
        ({"x": (7, 2, 3), "h0": (2, 4)}, f"{NAMES}  found    missing: c0\n  help     x, or x and every state\n"),
        ({"x": (7, 2, 3), "h": (2, 4)}, f"{NAMES}  found    unknown: h\n  help     x, or x and every state\n"),
        (
            {"x": (7, 2, 3), "lengths": (2,)},
            "error[lengths]: the lengths do not fit x\n  expected 2 whole numbers, one a sample\n"
            "  found    float64 (2,)\n",
        ),
    ],
)
def test_inputs_with_other_names(command, folder, content, message):
    np.savez("x.npz", **{name: np.zeros(shape) for name, shape in content.items()})
    assert refused(command, folder, *ASK) == message


@pytest.mark.parametrize(
    "x", [np.zeros((7, 2, 5)), np.zeros((7, 3)), np.zeros((7, 2, 3), "float32"), np.zeros((7, 2, 3), int)]
)
def test_inputs_of_another_shape_or_dtype(command, folder, x):
    np.savez("x.npz", x=x)
    assert refused(command, folder, *ASK).startswith("error[")


def test_objects_are_never_loaded(command, folder):
    np.savez("x.npz", x=np.array([print], dtype=object))
    assert refused(command, folder, *ASK).startswith("error[")


@pytest.mark.parametrize("missing", ["weights.npz", "x.npz"])
def test_files_that_are_missing(command, folder, missing):
    os.unlink(missing)
    assert refused(command, folder, *ASK) == f"error[missing]: there is no such file\n  at       {missing}\n"


@pytest.mark.parametrize("output", ["weights.npz", "./x.npz"])
def test_what_is_read_is_not_overwritten(command, folder, output):
    message = f"error[output]: --output is a file that is read\n  at       {output}\n  help     name another file\n"
    assert refused(command, folder, *ASK[:4], output) == message


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_only_a_regular_file_is_replaced(command, folder, make):
    make("odd")
    message = "error[output]: --output is not a regular file\n  at       odd\n  help     name a new file\n"
    assert refused(command, folder, *ASK[:4], "odd") == message


def test_a_folder_that_is_not_there(command, folder):
    assert refused(command, folder, *ASK[:4], "nowhere/y.npz") == (
        "error[unwritable]: the output cannot be written\n"
        "  at       nowhere/y.npz\n"
        "  because  No such file or directory\n"
    )


def test_a_result_that_cannot_be_finished_leaves_the_old_one(command, folder, monkeypatch):
    (folder / "y.npz").write_bytes(b"old")

    def breaks(file, arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lstm_spec_cli.array_files.write_npz", breaks)
    message = refused(command, folder, *ASK)
    assert message.endswith("  because  No space left on device\n")
    assert (folder / "y.npz").read_bytes() == b"old"


@pytest.mark.parametrize("flag", ["--at", "--dialect"])
def test_names_are_read_in_one_way(command, folder, flag):
    assert refused(command, folder, *ASK, "--forget-bias", "1", flag, "pytorch") == (
        f"error[options]: {flag} does not go with a layer that is described\n"
        "  because  the tensors are then read by the names of its equations: l0.W_f, or W_f\n"
        f"  help     drop {flag}, or the options that describe the layer\n"
    )


def test_a_result_that_is_not_finite_is_told(command, folder):
    x = arrays("x.npz")["x"]
    x[0, 0, 0] = np.nan
    np.savez("a.npz", x=x)
    outcome = command("run", "weights.npz", "--input", "a.npz", "--output", "y.npz")
    assert outcome.code == 0
    assert outcome.err.endswith("warning: 28 of y's 56 entries are NaN or infinite\n")


def test_too_little_memory_is_no_fault_of_ours(command, folder, monkeypatch):
    def refuse(*_arguments, **_options):
        raise MemoryError

    monkeypatch.setattr(ls, "compile", refuse)
    outcome = command("run", "weights.npz", "--input", "x.npz", "--output", "y.npz")
    assert outcome.code == 2
    assert outcome.err.startswith("error[too-large]: this needs more memory than there is\n")
    assert not os.path.exists("y.npz")


@pytest.mark.parametrize("output", ["y.safetensors", "y", "y.npz.txt"])
def test_npz_is_written_under_no_other_name(command, folder, output):
    message = f"error[output]: --output is written as npz\n  at       {output}\n  help     name it *.npz\n"
    assert refused(command, folder, *ASK[:4], output) == message
    assert not os.path.exists(output)


def test_another_dtype_is_rounded_only_when_asked(command, tmp_path):
    """A float32 model and NumPy's default float64: what everyone meets first."""
    layer = ls.lstm(3, 4)
    layer.random(0, "float32").save(tmp_path / "w.npz")
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    np.savez(tmp_path / "x.npz", x=x, h0=np.zeros((2, 4)), c0=np.zeros((2, 4), "float32"))
    line = ("run", tmp_path / "w.npz", "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz")
    refused = command(*line)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error[input]: x is float64, and the weights are float32\n"
        f"  at       {tmp_path}/x.npz\n"
        "  expected float32\n"
        "  help     --cast rounds it to float32\n"
    )
    assert not (tmp_path / "y.npz").exists()
    assert command(*line, "--cast").code == 0
    with np.load(tmp_path / "y.npz") as written:
        ours, _ = ls.compile(layer)(x.astype("float32"), layer.random(0, "float32"))
        np.testing.assert_array_equal(written["y"], ours)


def test_what_leaves_no_tensor_goes_with_another_frameworks_names(command, tmp_path):
    """--padding says nothing of the weights: their dialect is still told from the file."""
    layer = ls.lstm(3, 4, bias="two")
    weights = layer.random(0)
    np.savez(tmp_path / "w.npz", **ls.dialects.get("pytorch").pack(weights, layer))
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    np.savez(tmp_path / "x.npz", x=x, lengths=np.array([5, 2]))
    line = ("run", tmp_path / "w.npz", "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz")
    assert command(*line, "--padding", "repeat").err.startswith(f"wrote {tmp_path}/y.npz")
    with np.load(tmp_path / "y.npz") as written:
        np.testing.assert_array_equal(written["y"][2:, 1], np.broadcast_to(written["y"][1, 1], (3, 4)))
        assert written["y"][1, 1].any()
