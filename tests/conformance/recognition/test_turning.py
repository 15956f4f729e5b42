"""A matrix that was stored transposed is said to be, in every format, and gives the sizes that it would turned."""

from __future__ import annotations

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.sets import keras_names, onnx_model, onnx_names, torch_names


def turned(tensors, *names):
    return {name: np.array(a.swapaxes(-1, -2)) if name in names else a for name, a in tensors.items()}


def packed(dialect, **options):
    layer = ls.lstm(3, 4, **options)
    return {f"lstm/{name}": a for name, a in ls.dialects.get(dialect).pack(layer.random(0), layer).items()}


def told(source):
    report = ls.check(source, numbers=False)
    assert not report.ok
    return report, [str(finding) for finding in report.findings]


def test_the_matrix_on_x_in_full():
    """n is taken from no axis of 4k rows."""
    report, findings = told(turned(torch_names(), "weight_ih_l0"))
    assert findings == [
        "error[shape]: weight_ih_l0 does not fit\n"
        "  at       arrays : weight_ih_l0\n"
        "  expected (4*k, n) = (16, 3)\n"
        "  found    (3, 16)\n"
        "  because  k = 4 from weight_hh_l0, bias_ih_l0, bias_hh_l0, n = 3 from weight_ih_l0 transposed\n"
        "  help     transposed? as (16, 3) it fits"
    ]
    assert report.layers[0].layer.sizes["n"] == 3


@pytest.mark.parametrize(
    ("tensors", "name", "help"),
    [
        (torch_names(), "weight_hh_l0", "(16, 4)"),
        (torch_names(prefix="enc.", layers=2, both=True), "enc.weight_ih_l1_reverse", "(16, 8)"),
        (torch_names(k=5, projection=2), "weight_hr_l0", "(2, 5)"),
        (keras_names(), "kernel", "(3, 16)"),
        (keras_names(), "recurrent_kernel", "(4, 16)"),
        (packed("flax"), "lstm/if/kernel", "(3, 4)"),
        (packed("haiku", forget_bias=1), "lstm/linear/w", "(7, 16)"),
    ],
    ids=["U", "an upper W", "a projection", "kernel", "recurrent_kernel", "one gate's", "on x and h"],
)
def test_one_matrix_of_any_dialect(tensors, name, help):
    assert ls.check(tensors, numbers=False).ok
    (finding,) = ls.check(turned(tensors, name), numbers=False).findings
    assert (finding.code, finding.message) == ("shape", f"{name} does not fit")
    assert finding.help == f"transposed? as {help} it fits"


@pytest.mark.parametrize(("role", "help"), [("W", "(1, 16, 3)"), ("R", "(1, 16, 4)")])
def test_a_node(tmp_path, role, help):
    arrays = turned(onnx_names(3, 4), role)
    (tmp_path / "m.onnx").write_bytes(onnx_model(arrays, {"hidden_size": 4}, 3))
    _, findings = told(str(tmp_path / "m.onnx"))
    assert [f.splitlines()[-1] for f in findings] == [f"  help     transposed? as {help} it fits"]


@pytest.mark.parametrize("names", [("weight_ih_l0", "weight_hh_l0")])
def test_all_matrices_without_a_bias(names):
    """Each says something else of k, and nothing agrees until all are turned."""
    tensors = {name: array for name, array in torch_names().items() if name in names}
    _, findings = told(turned(tensors, *names))
    assert findings == [
        "error[shape]: weight_ih_l0 does not fit\n"
        "  at       arrays : weight_ih_l0\n"
        "  expected (4*k, n) = (16, 3)\n"
        "  found    (3, 16)\n"
        "  because  k = 4 from weight_ih_l0 transposed, n = 3 from weight_ih_l0 transposed\n"
        "  help     transposed? as (16, 3) it fits",
        "error[shape]: weight_hh_l0 does not fit\n"
        "  at       arrays : weight_hh_l0\n"
        "  expected (4*k, k) = (16, 4)\n"
        "  found    (4, 16)\n"
        "  because  k = 4 from weight_ih_l0 transposed\n"
        "  help     transposed? as (16, 4) it fits",
    ]


def test_one_that_is_turned_decides_the_other():
    """The bias, and each matrix as it lies, all say something else of k, until one of them is turned."""
    names = ("kernel", "recurrent_kernel")
    _, findings = told(turned(keras_names(), *names))
    assert findings == [
        "error[shape]: kernel does not fit\n"
        "  at       arrays : kernel\n"
        "  expected (n, 4*k) = (3, 16)\n"
        "  found    (16, 3)\n"
        "  because  n = 3 from kernel transposed, k = 4 from bias\n"
        "  help     transposed? as (3, 16) it fits",
        "error[shape]: recurrent_kernel does not fit\n"
        "  at       arrays : recurrent_kernel\n"
        "  expected (k, 4*k) = (4, 16)\n"
        "  found    (16, 4)\n"
        "  because  k = 4 from bias\n"
        "  help     transposed? as (4, 16) it fits",
    ]


@pytest.mark.parametrize("shape", [(15, 3), (5, 16), (16, 5), (4, 15), (16,), (1, 4, 16)])
def test_what_would_not_fit_is_not_called_transposed(shape):
    tensors = torch_names() | {"weight_hh_l0": np.zeros(shape, "float32")}
    _, findings = told(tensors)
    assert "transposed" not in "\n".join(findings)
