"""What no file says: a contract holds it as assumed, or not at all."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.conformance.verdict.contract import write_contract
from tests.checkpoints.onnx.test_decomposed import arrays, cell, products, save, step
from tests.conformance.sets import keras_names, node_attributes, onnx_model, onnx_names, own_names, torch_names

MEANT = "if this is meant, change or delete what the contract:{} says of it"
LINE = 'assumed = ["direction = forward", "initial state = zeros"]  # read nowhere'


def contract_of(source):
    return write_contract(ls.check(source, numbers=False))


def held(source, contract):
    return [str(f) for f in ls.check(source, numbers=False, contract=contract).findings]


@pytest.fixture
def written_out(tmp_path):
    return save(cell([*products(), *step("z", "c")], arrays()), tmp_path)


def test_nodes_that_write_a_cell_out_say_no_direction(written_out):
    """The contract said it plainly."""
    lines = contract_of(written_out).splitlines()
    assert lines[lines.index('direction = "forward"') + 1] == LINE
    assert held(written_out, "\n".join(lines)) == []
    lines.remove(LINE)
    assert held(written_out, "\n".join(lines)) == []


def test_another_direction_is_told_with_what_was_assumed(written_out):
    contract = contract_of(written_out).replace(f"{LINE}\n", "").replace('"forward"', '"reverse"')
    assert held(written_out, contract) == [
        "error[spec]: direction is another than in the contract\n  at       m.onnx : /cell\n"
        "  expected reverse\n  found    forward\n"
        "  because  assumed here, direction = forward: nodes that write a cell out are not asked which way they walk"
        f" the time\n  help     {MEANT.format(7)}".replace("m.onnx", str(written_out))
    ]


def test_the_contracts_own_assumption_is_the_reason(tmp_path, written_out):
    """A node says its direction."""
    (tmp_path / "node.onnx").write_bytes(onnx_model(onnx_names(), node_attributes(direction="reverse")))
    contract = re.sub("(?m)^(at|dialect|layout) .*\n", "", contract_of(written_out))
    found = held(str(tmp_path / "node.onnx"), contract)
    assert found[0].splitlines()[2:5] == [
        "  expected forward",
        "  found    reverse",
        "  because  the contract's was assumed",
    ]
    assert found[1].startswith(
        "note[spec]: assumed in the contract, and not here: direction = forward; initial state = zeros\n"
    )


def test_functions_that_no_tensor_tells_are_no_promise_of_a_file():
    contract = contract_of(keras_names())
    assert 'assumed = ["activation = tanh", "recurrent_activation = sigmoid", "go_backwards = False"]' in contract
    assert held(keras_names(), contract) == []
    assert held(keras_names(), contract.replace('"activation = tanh"', '"activation = relu"')) == [
        "error[spec]: activation is assumed otherwise than in the contract\n  at       arrays\n"
        f"  expected activation = relu\n  found    activation = tanh\n  help     {MEANT.format(8)}"
    ]
    assert held(keras_names(), contract.replace('"activation = tanh"', '"a = b"')) == [
        "note[spec]: assumed in the contract, and not here: a = b\n  at       arrays"
    ]


def test_where_nothing_is_assumed_nothing_is_said():
    assert "assumed" not in contract_of(torch_names())


def test_tensors_do_not_say_how_x_lies():
    """PyTorch's state dict is the same with `batch_first` and without: a file was told to be another than its layer."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layer = torch.nn.LSTM(3, 4, batch_first=True)
    contract = contract_of(layer)
    assert 'layout = "batch"\n' in contract
    assert held(layer, contract) == []
    state = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
    assert "layout" not in contract_of(state)
    assert held(state, re.sub("at = .*\n", "", contract)) == [
        "note[spec]: layout is in the contract, and this file does not say it\n  at       arrays"
    ]
    assert held(torch.nn.LSTM(3, 4), contract) == [
        "error[spec]: layout is another than in the contract\n  at       LSTM\n"
        f"  expected batch\n  found    time\n  help     {MEANT.format(8)}"
    ]


def test_the_dtype_that_is_stored_is_held():
    half = {name: array.astype(np.float16) for name, array in own_names().items()}
    contract = contract_of(own_names())
    assert held(half, contract) == [
        "error[spec]: dtype is another than in the contract\n  at       arrays\n"
        "  expected float32\n  found    float16\n"
        "  because  a contract holds what the weights are stored in, whatever they are\n"
        f"  help     {MEANT.format(5)}"
    ]
    assert held(half, re.sub("dtype = .*\n", "", contract)) == []


def test_the_gates_of_two_dialects_are_told():
    contract = contract_of(torch_names()).replace('dialect = "pytorch"', 'dialect = "onnx"')
    assert held(torch_names(), contract) == [
        "error[spec]: dialect is another than in the contract\n  at       arrays\n  expected onnx\n  found    pytorch\n"
        f"  because  onnx has the gates i, o, f, g; pytorch has the gates i, f, g, o\n  help     {MEANT.format(4)}"
    ]
