"""Chains that are not folded: what blocks them is named, and what costs too much is refused before it is made."""

import numpy as np
import pytest
from onnx import TensorProto

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
from tests.checkpoints.onnx.models import R, W, constants, lstm, model
from tests.checkpoints.onnx.test_folding import C, make


def message_of(path):
    (finding, *_) = ls.check(path).findings
    return str(finding).replace(str(path), "PATH")


def test_what_blocks_the_folding_is_named(tmp_path):
    nodes = [make("Einsum", ["w"], ["W"], "/mix", equation="abc->abc"), lstm(hidden_size=2)]
    (tmp_path / "m.onnx").write_bytes(model(*nodes, initializers=constants(w=W, R=R)))
    assert message_of(tmp_path / "m.onnx") == (
        "error[unread]: W of LSTM:y is no constant\n"
        "  at       PATH : LSTM:y\n"
        "  because  Einsum (/mix) makes it at run time\n"
        "  help     fold the constants (onnx-simplifier, or ONNX Runtime's offline optimizer) and check the result"
    )


@pytest.mark.parametrize(
    ("node", "because"),
    [
        (make("Unsqueeze", ["w"], ["W"], "u"), "Unsqueeze (u) is not worked out: it has no axes"),
        (
            make("Squeeze", ["w", "i1"], ["W"], "s"),
            "Squeeze (s) is not worked out: it squeezes an axis that is longer than 1",
        ),
        (
            make("Slice", ["w", "i1", "i2", "i0", "i0"], ["W"], "s"),
            "Slice (s) is not worked out: its bounds are not as many as its axes",
        ),
        (make("Concat", ["w", "m"], ["W"], "c", axis=0), "Concat (c) is not worked out: its parts do not fit together"),
        (make("Concat", ["w"], ["W"], "c", axis=9), "Concat (c) is not worked out: it has no axis 9"),
        (
            make("Reshape", ["w", "i1"], ["W"], "r"),
            "Reshape (r) is not worked out: its shape has another number of elements",
        ),
        (make("Expand", ["w", "t"], ["W"], "e"), "Expand (e) is not worked out: its inputs do not fit together"),
        (
            make("Transpose", ["w"], ["W"], "t", perm=[0, 0, 1]),
            "Transpose (t) is not worked out: its perm is no order of the axes",
        ),
        (
            make("Cast", ["w"], ["W"], "c", to=TensorProto.BFLOAT16),
            "Cast (c) is not worked out: it casts to a type that NumPy does not have",
        ),
        (make("Add", ["x", "w"], ["W"], "a"), "it is given when the model runs"),
    ],
)
def test_calls_that_fit_nothing(tmp_path, node, because):
    data = model(node, lstm(hidden_size=2), initializers=constants(w=W, R=R, **C))
    (tmp_path / "m.onnx").write_bytes(data)
    assert f"\n  because  {because}\n" in message_of(tmp_path / "m.onnx")


def refused(tmp_path, *nodes, **arrays):
    path = tmp_path / "m.onnx"
    path.write_bytes(model(*nodes, lstm(hidden_size=2), initializers=constants(R=R, **arrays)))
    with pytest.raises(FileError) as caught:
        [tensor.load() for tensor in read_tensors(path).values()]
    return str(caught.value).replace(str(path), "PATH")


def test_a_hostile_shape_is_refused_before_it_is_made(tmp_path):
    shape = np.array([2**20, 2**20])
    assert refused(tmp_path, make("ConstantOfShape", ["s"], ["W"]), s=shape) == (
        "error[too-large]: working out W is too much work\n"
        "  at       PATH : ConstantOfShape:W\n"
        "  expected at most 1048704 for constants of 2 elements"
    )
    assert refused(tmp_path, make("ConstantOfShape", ["s"], ["W"]), s=np.array([2**40, 2**40])) == (
        "error[shape]: the shape of W is not one\n"
        "  at       PATH\n"
        "  expected a shape that an array can have\n"
        "  found    [1099511627776, 1099511627776]"
    )


def test_doubling_forty_times_is_refused(tmp_path):
    nodes = [make("Concat", [f"w{i}", f"w{i}"], [f"w{i + 1}"], axis=0) for i in range(40)]
    nodes.append(make("Identity", ["w40"], ["W"]))
    assert refused(tmp_path, *nodes, w0=np.zeros(1, "f4")).startswith("error[too-large]: working out w")


def test_a_diamond_of_sums_is_refused(tmp_path):
    """The same shape at every step, and 2**40 additions."""
    nodes = [make("Add", [f"w{i}", f"w{i}"], [f"w{i + 1}"]) for i in range(40)]
    nodes.append(make("Identity", ["w40"], ["W"]))
    assert refused(tmp_path, *nodes, w0=np.zeros(1, "f4")).startswith("error[too-large]: working out w")


def test_a_long_chain_is_refused_and_identities_are_none(tmp_path):
    chain = [make("Transpose", [f"w{i}"], [f"w{i + 1}"]) for i in range(250)]
    assert refused(tmp_path, *chain, make("Identity", ["w250"], ["W"]), w0=W[0]) == (
        "error[nesting]: w201 is made by too long a chain of nodes\n  at       PATH\n  expected 200 nodes"
    )
    same = [make("Identity", [f"w{i}"], [f"w{i + 1}"]) for i in range(5000)]
    path = tmp_path / "m.onnx"
    path.write_bytes(model(*same, lstm("x", "w5000", "R"), initializers=constants(R=R, w0=W)))
    assert read_tensors(path).operators[0].tensors["W"] == "w0"


def test_a_circle_is_refused(tmp_path):
    nodes = [make("Transpose", ["b"], ["a"]), make("Transpose", ["a"], ["b"]), make("Identity", ["a"], ["W"])]
    assert refused(tmp_path, *nodes) == "error[circle]: a is made from itself\n  at       PATH"


@pytest.mark.parametrize(
    "node", [make("Gather", ["m", "far"], ["W"], "g"), make("Div", ["far", "i0"], ["W"], "g")], ids=["Gather", "Div"]
)
def test_values_that_cannot_be_had(tmp_path, node):
    assert refused(tmp_path, node, far=np.array([99]), **C) == (
        "error[constant]: the constants do not fit the node that joins them\n  at       PATH : g"
    )
