"""What the comparison of numbers takes: twice the weights, besides the file's own bytes and the engine's copies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import lstm_spec as ls
from lstm_spec.conformance.verdict import numbers
from tests.conformance.sets import keras_names, node_attributes, onnx_model, onnx_names, torch_names

ROOT = Path(__file__).parents[3]
K = 1000  # 32 MB in float32

# What a small check took is there already; its arrays are read-only, which PyTorch would warn of.
MEASURED = """
import sys
import numpy, onnx, onnx.numpy_helper
import lstm_spec as ls
from tests.conformance import sets
def taken():
    with open("/proc/self/status") as status:  # getrusage knows the largest size of the process that started this one
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10
path, names = sys.argv[1:]
small = getattr(sets, names)()
for array in small.values():
    array.flags.writeable = False
(found,) = ls.check(small).layers
assert found.agreement.difference is not None, found.agreement
before = taken()
(found,) = ls.check(path).layers
print(found.agreement.difference, taken() - before)
"""


def torch_file(path, dtype="float32"):
    save_file({name: a.astype(dtype) for name, a in torch_names(n=K, k=K).items()}, path)


def torch_archive(path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.save({name: torch.from_numpy(a) for name, a in torch_names(n=K, k=K).items()}, path)


def onnx_file(path):
    path.write_bytes(onnx_model(onnx_names(K, K), node_attributes(hidden_size=K), width=K))


# How many times its weights, as they are computed with. What is measured with n = k = 4000 stands behind; of so small a
# file as these some 15 MB more show, which is half of its weights.
FILES = {
    "torch.safetensors": (torch_file, "torch", "torch_names", 2.8),  # 2.0; it was 3
    "half.safetensors": (lambda path: torch_file(path, "float16"), "torch", "torch_names", 2.8),  # 2.0; it was 3
    "torch.pt": (torch_archive, "torch", "torch_names", 2.8),  # 2.0; it was 3
    "whole.onnx": (onnx_file, "onnxruntime", "onnx_names", 4.5),  # 3.0, one of them the file; it was 7
}
OTHERS = ("half.safetensors", "torch.pt")


@pytest.mark.skipif(sys.platform != "linux", reason="the file of a process's sizes is Linux's")
@pytest.mark.parametrize(
    "name",
    ["torch.safetensors", "whole.onnx", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)],
)
def test_numbers_take_twice_the_weights(name, tmp_path):
    write, engine, names, most = FILES[name]
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    write(tmp_path / name)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    done = subprocess.run(
        [sys.executable, "-W", "error:The given NumPy array", "-c", MEASURED, str(tmp_path / name), names],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    difference, taken = map(float, done.stdout.split())
    weights = 4 * sum(a.size for a in torch_names(n=K, k=K).values())
    assert difference < 1e-3
    assert taken < most * weights, f"{taken / weights:.2f} times"


@pytest.mark.parametrize(
    ("engine", "tensors", "found"),
    [("torch", torch_names, 2), ("onnxruntime", onnx_names, 2), ("keras", keras_names, 2)],
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_large_layer_is_held_by_its_shapes(engine, tensors, found, dtype, monkeypatch, tmp_path):
    """What is loaded counts, not what the file takes: 1 MB of half floats are 2 MB. No value is read."""
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    monkeypatch.setattr(numbers, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(numbers, "load_tensors", None)
    arrays = {name: a.astype(dtype) for name, a in tensors(n=256, k=256).items()}
    save_file(arrays, tmp_path / "large.safetensors")
    report = ls.check(tmp_path / "large.safetensors", dialect="onnx" if engine == "onnxruntime" else None)
    size = found * (2 if dtype == "float64" else 1)
    assert report.ok
    assert all(row.ok for row in report.layers[0].tensors)
    assert str(report.layers[0].agreement) == (
        f"not compared with {engine}: {size} MB of weights are more than 1 MB; "
        "one recorded step is held against a layer of any size (--step, or step=…)"
    )


def test_a_layer_of_the_limit_is_compared(monkeypatch):
    pytest.importorskip("torch", reason="torch is not installed")
    tensors = torch_names()
    monkeypatch.setattr(numbers, "MOST_BYTES", sum(a.nbytes for a in tensors.values()))
    assert str(ls.check(tensors).layers[0].agreement).startswith("agrees with torch within ")
    monkeypatch.setattr(numbers, "MOST_BYTES", numbers.MOST_BYTES - 1)
    assert ls.check(tensors).layers[0].agreement.difference is None


def test_the_arrays_that_are_shared_are_not_changed():
    pytest.importorskip("torch", reason="torch is not installed")
    tensors = torch_names(n=7, k=6)
    before = {name: a.copy() for name, a in tensors.items()}
    assert ls.check(tensors).layers[0].agreement.difference < 1e-5
    for name, array in tensors.items():
        np.testing.assert_array_equal(array, before[name])
