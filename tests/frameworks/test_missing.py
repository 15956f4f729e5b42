"""A framework that is not there, or that fails: said in one line, never a traceback."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec import frameworks
from lstm_spec.errors import MissingPackageError, TensorError
from lstm_spec.frameworks import Refused, Request, forward, is_known_to_numpy


def request():
    layer = ls.lstm(2, 3, bias="two")
    state = {name: np.zeros((1, 3), "float32") for name in layer.state_shapes()}
    return Request(layer, {}, np.zeros((1, 1, 2), "float32"), state)


@pytest.mark.parametrize(
    ("engine", "package", "message"),
    [
        (
            "torch",
            "torch",
            "error[missing-package]: running PyTorch needs the package torch, which is not installed\n"
            '  help     pip install "lstm-spec[frameworks]"',
        ),
        (
            "keras",
            "keras",
            "error[missing-package]: running Keras needs the package keras, which is not installed\n"
            '  help     pip install "lstm-spec[frameworks]"',
        ),
        (
            "onnxruntime",
            "onnx",
            "error[missing-package]: running an ONNX node needs the package onnx, which is not installed\n"
            '  help     pip install "lstm-spec[onnx]"',
        ),
    ],
)
def test_an_engine_that_is_not_installed(monkeypatch, engine, package, message):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError) as caught:
        forward(engine, request())
    assert str(caught.value) == message


def test_keras_without_its_backend(monkeypatch):
    """Keras is there, and what it imports is not: that package is named, not Keras."""

    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "keras":
                raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(Refused, match="^its backend tensorflow is not installed; KERAS_BACKEND names another$"):
        forward("keras", request())


def test_an_engine_that_fails_says_so(monkeypatch):
    class Failing:
        @staticmethod
        def forward(request):
            raise RuntimeError("out of \x1b[31mluck\nand more")

    monkeypatch.setattr(frameworks, "import_module", lambda name: Failing)
    with pytest.raises(Refused) as caught:
        forward("torch", request())
    assert str(caught.value) == "it fails with RuntimeError: out of \\x1b[31mluck"


def test_dtypes_that_numpy_knows():
    known = ["float16", "float32", "float64", "int8", "uint8", "bool", "complex64"]
    unknown = ["bfloat16", "float8_e4m3fn", "qint8", "object", "<U3", "nonsense", ""]
    assert [name for name in (*known, *unknown) if is_known_to_numpy(name)] == known


@pytest.mark.parametrize("thing", [3, None, ["a"], object()])
def test_what_is_no_source(thing):
    with pytest.raises(TensorError) as caught:
        ls.check(thing)
    assert str(caught.value) == (
        f"error[source]: {type(thing).__name__} is no source of tensors\n"
        "  expected a path, a dict of arrays, or a live layer of PyTorch, Keras, Flax nnx, Equinox, MLX or tinygrad"
    )
