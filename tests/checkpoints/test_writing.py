"""What is written: read back by our own reader and by its owner, the same bytes each time, whole or not at all."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.keras.writing import KerasLayer, keras_legacy, keras_weights
from lstm_spec.checkpoints.msgpack.writing import msgpack_bytes
from lstm_spec.checkpoints.torch.writing import torch_bytes
from lstm_spec.checkpoints.writing import WRITERS, write_bytes
from lstm_spec.errors import LstmSpecError

RNG = np.random.default_rng(0)
ARRAYS = {
    "enc/a": RNG.standard_normal((3, 4)).astype("float32"),
    "enc/b": RNG.standard_normal((2, 3, 5)),
    "große/größe": RNG.standard_normal(300),
    "scalar": np.array(2.5),
    "none": np.zeros((0, 4), "float32"),
    "enc/turned": np.asfortranarray(RNG.standard_normal((4, 3))),
    "x" * 40: np.arange(70_000, dtype="float32"),
    "big-endian": np.arange(3, dtype=">f8"),
}


def same(found, given):
    assert set(found) == set(given)
    for name, array in given.items():
        theirs = np.asarray(found[name])
        assert (theirs.shape, theirs.dtype) == (array.shape, array.dtype.newbyteorder("="))
        np.testing.assert_array_equal(theirs, array)


@pytest.mark.parametrize("suffix", WRITERS)
def test_our_own_reader_has_the_same_arrays(tmp_path, suffix):
    (path := tmp_path / f"x{suffix}").write_bytes(WRITERS[suffix](ARRAYS))
    tensors = read_tensors(path)
    same({name: tensors[name].load() for name in tensors}, ARRAYS)


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_same_arrays_are_the_same_bytes(suffix):
    copies = {name: array.copy(order="K") for name, array in ARRAYS.items()}
    assert WRITERS[suffix](ARRAYS) == WRITERS[suffix](copies)


@pytest.mark.parametrize("mmap", [False, True])
def test_torch_loads_it_without_running_code(tmp_path, mmap):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    (path := tmp_path / "x.pt").write_bytes(torch_bytes(ARRAYS))
    found = torch.load(path, weights_only=True, mmap=mmap)
    same({name: tensor.numpy() for name, tensor in found.items()}, ARRAYS)
    assert all(tensor.is_contiguous() for tensor in found.values())
    assert type(found).__name__ == "OrderedDict"


def test_every_tensor_begins_at_a_multiple_of_64(tmp_path):
    """As in a file of torch.save: `mmap=True` points into it."""
    (path := tmp_path / "x.pt").write_bytes(torch_bytes(ARRAYS))
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name, extra = (int.from_bytes(data[info.header_offset + at :][:2], "little") for at in (26, 28))
            assert (info.header_offset + 30 + name + extra) % 64 == 0


def test_torch_keeps_the_order():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import io

    assert list(torch.load(io.BytesIO(torch_bytes(ARRAYS)), weights_only=True)) == list(ARRAYS)


def test_flax_restores_it():
    flax = pytest.importorskip("flax.serialization", reason="flax is not installed")
    tree = flax.msgpack_restore(msgpack_bytes(ARRAYS))
    assert set(tree["enc"]) == {"a", "b", "turned"}
    flat = {f"{g}/{n}": a for g, inner in tree.items() if isinstance(inner, dict) for n, a in inner.items()}
    same(flat | {n: a for n, a in tree.items() if not isinstance(a, dict)}, ARRAYS)


def test_flax_writes_the_same_bytes():
    flax = pytest.importorskip("flax.serialization", reason="flax is not installed")
    ours = {name: ARRAYS[name] for name in ("enc/a", "enc/b", "none", "scalar")}  # Flax sorts
    tree = {"enc": {n: ARRAYS[f"enc/{n}"] for n in "ab"}, "scalar": ARRAYS["scalar"], "none": ARRAYS["none"]}
    assert msgpack_bytes(ours) == flax.msgpack_serialize(tree)


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_a_name_that_is_a_table_and_a_tensor(names):
    with pytest.raises(LstmSpecError) as caught:
        msgpack_bytes({name: np.zeros(2) for name in names})
    assert str(caught.value).startswith("error[names]: ")


# ---- Keras ----


def cell(n=3, k=4, bias=True):
    shapes = {"kernel": (n, 4 * k), "recurrent_kernel": (k, 4 * k)} | ({"bias": (4 * k,)} if bias else {})
    return {name: RNG.standard_normal(shape).astype("float32") for name, shape in shapes.items()}


LAYERS = (KerasLayer("a", cell(), cell()), KerasLayer("b/c", cell(8, 4, bias=False)), KerasLayer("b c", cell(4)))


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
def test_keras_files_read_back_in_order(tmp_path, suffix):
    write = keras_weights if suffix == ".weights.h5" else keras_legacy
    data = write(LAYERS)
    assert data == write(LAYERS)
    (path := tmp_path / f"x{suffix}").write_bytes(data)
    tensors = read_tensors(path)
    given = [a for layer in LAYERS for own in (layer.forward, layer.backward or {}) for a in own.values()]
    found = [tensors[name].load() for name in tensors]
    assert len(found) == len(given) == 11
    assert all(any(np.array_equal(a, b) for b in found) for a in given)
    assert [o.attributes for o in tensors.operators] == [{"go_backwards": True}]


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
def test_keras_loads_them(tmp_path, suffix):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="keras is not installed")
    write = keras_weights if suffix == ".weights.h5" else keras_legacy
    (path := tmp_path / f"x{suffix}").write_bytes(write(LAYERS))
    lstm = keras.layers.LSTM
    model = keras.Sequential(
        [
            keras.layers.Input((None, 3)),
            keras.layers.Bidirectional(lstm(4, return_sequences=True)),
            lstm(4, use_bias=False, return_sequences=True),
            lstm(4),
        ]
    )
    model.load_weights(path)
    given = [a for layer in LAYERS for own in (layer.forward, layer.backward or {}) for a in own.values()]
    for ours, theirs in zip(given, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs.value.detach().numpy())


# ---- whole or not at all ----


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    (path := tmp_path / "x.pt").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(LstmSpecError) as caught:
        write_bytes(str(path), b"new")
    assert str(caught.value) == (
        f"error[unwritable]: the output cannot be written\n  at       {path}\n  because  No space left on device"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]
    assert path.read_bytes() == b"old"
