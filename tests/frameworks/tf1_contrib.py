"""TensorFlow 1's `contrib`, which TensorFlow 2 gave up: its own Python files, out of the wheel, on TensorFlow 2.

The environment's TENSORFLOW_1_WHEEL is the path of the wheel of tensorflow 1.15 for Python 3.7, which pip downloads and
cannot install here. Nothing in it is changed: only the files asked for are run, without the packages around them, and
what they import from `tensorflow.python` is TensorFlow 2's. What TensorFlow 2 moved is put where they look for it; two
libraries of compiled operations, which no cell uses, are left out.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType

PACKAGES = ("rnn", "layers", "framework", "compiler", "util", "cudnn_rnn", "checkpoint")
INNER = {"rnn": "ops", "framework": "ops", "cudnn_rnn": "ops", "layers": "layers"}
CONTRIB = "tensorflow.contrib"


def put(name: str, module: ModuleType) -> ModuleType:
    """The module under that name, in its package too."""
    sys.modules[name] = module
    package, _, leaf = name.rpartition(".")
    if package in sys.modules:
        setattr(sys.modules[package], leaf, module)
    return module


def empty(name: str, **names: object) -> ModuleType:
    """A module with nothing but these names."""
    module = ModuleType(name)
    vars(module).update(names)
    return put(name, module)


def open_contrib(wheel: str) -> None:
    """Make `tensorflow.contrib` importable from the wheel, file by file."""
    folder = f"{os.path.abspath(wheel)}/tensorflow_core/contrib"
    empty(CONTRIB, __path__=[folder])
    for package in PACKAGES:
        empty(f"{CONTRIB}.{package}", __path__=[f"{folder}/{package}"])
        empty(f"{CONTRIB}.{package}.python", __path__=[f"{folder}/{package}/python"])
        if inner := INNER.get(package):
            empty(f"{CONTRIB}.{package}.python.{inner}", __path__=[f"{folder}/{package}/python/{inner}"])
    nest = import_module("tensorflow.python.util.nest")
    nest.is_sequence = nest.is_nested
    moved = import_module("tensorflow.python.keras.layers.legacy_rnn.rnn_cell_impl")
    put("tensorflow.python.ops.rnn_cell_impl", moved)
    tracking = import_module("tensorflow.python.trackable.autotrackable")
    base = import_module("tensorflow.python.trackable.base")
    empty("tensorflow.python.training.tracking", tracking=tracking, base=base)
    framework = f"{CONTRIB}.framework.python.ops"
    empty(f"{CONTRIB}.util.loader", load_op_library=lambda path: None)
    empty(f"{framework}.gen_variable_ops")
    empty(f"{CONTRIB}.rnn.python.ops.lstm_ops", LSTMBlockCell=moved.LSTMCell)
    scopes = import_module(f"{framework}.arg_scope")
    vars(sys.modules[framework]).update(add_arg_scope=scopes.add_arg_scope, arg_scope=scopes.arg_scope)
    import_module(f"{framework}.variables")


def find_contrib() -> str:
    """The wheel's path; "" where there is none."""
    return os.environ.get("TENSORFLOW_1_WHEEL", "")
