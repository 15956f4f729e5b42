"""Files of gigabytes: what is read of them is their header."""

import io
import json
import struct
from math import prod

import pytest

import lstm_spec as ls
from lstm_spec.checkpoints import files
from tests.checkpoints.torch.pickled import state_dict, tensor


def write_pt(path, shapes):
    """An archive whose values are holes: each member's bytes are skipped, the directory stands at the end."""
    items, members = {}, []
    for key, (name, shape) in enumerate(shapes.items()):
        items[name] = tensor(str(key), shape)
        members.append((f"m/data/{key}", prod(shape) * 4, b""))
    data = state_dict(items)
    directory, at = b"", 0
    with path.open("wb") as file:
        for name, size, content in [("m/data.pkl", len(data), data), *members]:
            both = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, 0, size, size, len(name), 0)
            file.seek(at)
            file.write(b"PK\3\4" + both + name.encode() + content)
            directory += (
                b"PK\1\2" + struct.pack("<H", 20) + both + struct.pack("<HHHII", 0, 0, 0, 0, at) + name.encode()
            )
            at += 30 + len(name) + size
        file.seek(at)
        count = len(members) + 1
        file.write(directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), at, 0))


def write_safetensors(path, shapes):
    header, at = {}, 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * prod(shape)]}
        at += 4 * prod(shape)
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)


WRITERS = {"pt": write_pt, "safetensors": write_safetensors}


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_two_gigabytes_are_checked_from_less_than_one_megabyte(kind, tmp_path, monkeypatch):
    """A sparse file of an LSTM with 2 GB beside it; counted are the bytes that any read returns."""
    shapes = {"rnn.weight_ih_l0": (2048, 512), "rnn.weight_hh_l0": (2048, 512), "rnn.bias_ih_l0": (2048,)}
    shapes |= {"rnn.bias_hh_l0": (2048,), "embedding": (1024, 2**19)}
    path = tmp_path / f"m.{kind}"
    WRITERS[kind](path, shapes)
    assert path.stat().st_size > 2**31
    taken = []

    class Counting(io.FileIO):
        def readinto(self, buffer):
            taken.append(super().readinto(buffer))
            return taken[-1]

        def readall(self):
            raise AssertionError("a file is never read as a whole")

    monkeypatch.setattr(files.os, "fdopen", lambda number, _mode: io.BufferedReader(Counting(number)))
    report = ls.check(path, numbers=False)
    assert (report.ok, report.layers[0].layer.parameter_count, report.other) == (True, 2101248, ("embedding",))
    print(f"{kind}: {sum(taken)} bytes read")
    assert 0 < sum(taken) < 1_000_000
