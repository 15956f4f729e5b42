"""`.keras` archives made on purpose: the configuration is data, members are those that Keras writes, nothing runs."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
from tests.checkpoints.hdf5.files import bounded, external, made, with_place

METADATA = json.dumps({"keras_version": "3.15.1", "date_saved": "x"})


def lstm(**changes):
    options = {"name": "lstm", "units": 2, "activation": "tanh", "recurrent_activation": "sigmoid"} | changes
    return {"module": "keras.layers", "class_name": "LSTM", "config": options, "registered_name": None}


def model(*layers):
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "sequential", "layers": list(layers)}}


def numbered(file):
    for place, shape in enumerate([(3, 8), (2, 8), (8,)]):
        file[f"layers/lstm/cell/vars/{place}"] = np.ones(shape, "f4")


WEIGHTS = made(numbered)


def archive(*members, config=None, metadata=METADATA, weights=WEIGHTS, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    config = config if isinstance(config, str) else json.dumps(config or model(lstm()))
    own = [("metadata.json", metadata), ("config.json", config), ("model.weights.h5", weights)]
    with zipfile.ZipFile(stream, "w", method) as target:
        for name, data in (*[m for m in own if m[1] is not None], *members):
            target.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_it_holds(write, method):
    tensors = read_tensors(write("m.keras", archive(("assets/words.txt", "x"), method=method)))
    (operator,) = tensors.operators
    assert (tensors.format, operator.kind, operator.where) == ("keras", "LSTM", "layers/lstm/cell")
    assert operator.attributes == {
        "keras_version": "3.15.1",
        "units": 2,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
    }
    assert {name: t.load().shape for name, t in tensors.items()} == {
        "layers/lstm/cell/kernel": (3, 8),
        "layers/lstm/cell/recurrent_kernel": (2, 8),
        "layers/lstm/cell/bias": (8,),
    }


def test_code_is_present_and_not_evaluated(write):
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None, "closure": None}}
    layer = {"module": "builtins", "class_name": "Lambda", "config": {"name": "exec", "function": code}}
    path = write("m.keras", archive(config=model(lstm(), layer, layer)))
    (finding,) = read_tensors(path).findings
    assert str(finding) == (
        "note[not-evaluated]: the model has parts that are present and not evaluated: 2 Lambda\n"
        f"  at       {path}\n"
        "  because  what they compute is code that the file holds; only tensors are read here"
    )


def bad_units(value):
    shown = value if not isinstance(value, str) else repr(value)
    return (
        archive(config=model(lstm(units=value))),
        "error[config]: units of sequential/lstm is not one\n"
        "  expected a whole number from 1 to 2147483647\n"
        f"  found    {shown}",
    )


def member(name, because):
    return f"error[archive]: the member {name} is refused\n  because  {because}"


ONLY = "a Keras archive has metadata.json, config.json, model.weights.h5 and assets/"
HOSTILE = {
    **{f"units {value!r}": bad_units(value) for value in (True, 2.0, 0, -4, "2", "__import__('os').system('id')")},
    "units list": bad_units([2]),
    "units huge": bad_units(2**62),
    "flag": (
        archive(config=model(lstm(go_backwards=1))),
        "error[config]: go_backwards of sequential/lstm is not one\n  expected true or false\n  found    1",
    ),
    "activation": (
        archive(config=model(lstm(activation=["tanh"]))),
        "error[config]: activation of sequential/lstm is not one\n"
        "  expected the name of a function\n"
        "  found    ['tanh']",
    ),
    "nest": (
        archive(config="[" * 5000 + "]" * 5000),
        "error[nesting]: config.json is nested too deeply\n  expected at most 100 levels\n  found    5000",
    ),
    "key twice": (
        archive(config='{"class_name": "LSTM", "class_name": "Lambda"}'),
        "error[duplicate]: config.json names class_name twice",
    ),
    "NaN": (
        archive(config='{"class_name": NaN}'),
        "error[config]: config.json holds a number that is none\n  found    NaN",
    ),
    "long number": (
        archive(config='{"units": ' + "9" * 6000 + "}"),
        "error[config]: config.json is not JSON\n"
        "  because  Exceeds the limit (4300 digits) for integer string conversion: value has 6000 digits; "
        "use sys.set_int_max_str_digits() to increase the limit",
    ),
    "version": (
        archive(metadata='{"keras_version": "3\\u001b[2J"}'),
        "error[config]: keras_version is no version\n  expected such as 2.15.0\n  found    3\\x1b[2J",
    ),
    "another member": (archive(("evil.py", "x")), member("evil.py", ONLY)),
    "path": (archive(("assets/../../x", "x")), member("assets/../../x", ONLY)),
    "no weights": (
        archive(weights=None),
        "error[archive]: the archive has no model.weights.h5\n"
        "  expected metadata.json, config.json and model.weights.h5",
    ),
    "weights that lead out": (
        archive(weights=made(external)),
        "error[external]: the values of w lie in another file, which is not opened\n  found    /etc/passwd",
    ),
    "no hdf5": (
        archive(weights=b"PK\3\4" + bytes(100)),
        "error[hdf5]: the file does not begin as HDF5 does\n"
        "  because  HDF5 that begins later, after a user block, could be a file of another format as well",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_lies_is_refused(write, case):
    data, expected = HOSTILE[case]
    path = write("m.keras", data)
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert str(caught.value) == with_place(expected, path)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_member_twice(write, refusal):
    found = refusal(write("m.keras", archive(("model.weights.h5", WEIGHTS))))
    assert (found.code, found.message) == ("duplicate", "the archive holds model.weights.h5 twice")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_bomb_inside(write, name):
    """200 MB of zeros or spaces in 200 kB: refused within 200 MB of memory and five seconds."""
    parts = {"config": '{"a": 1' + " " * 200_000_000 + "}"} if name == "config.json" else {}
    parts |= {"weights": WEIGHTS + bytes(200_000_000)} if name != "config.json" else {}
    path = write("m.keras", archive(method=zipfile.ZIP_DEFLATED, **parts))
    assert bounded(path).startswith("error[too-large]: the member " + name + " is ")


def test_a_layer_without_tensors_is_missed(write):
    path = write("m.keras", archive(config=model(lstm(), lstm(name="lost"))))
    (finding,) = read_tensors(path).findings
    assert str(finding) == (
        "error[missing]: the configuration has a layer sequential/lost, and the file has no tensors of it\n"
        f"  at       {path}\n"
        "  expected kernel and recurrent_kernel of LSTM sequential/lost"
    )


def test_every_prefix_is_refused(tmp_path, survives):
    data = archive()
    assert survives(tmp_path / "m.keras", data) is not None
    assert not any(survives(tmp_path / "m.keras", data[:size]) for size in range(0, len(data), 37))
