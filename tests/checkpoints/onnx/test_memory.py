"""Hostile protobuf is weighed before it is parsed."""

import subprocess
import sys
from pathlib import Path

import pytest
from onnx import ModelProto

from lstm_spec.checkpoints.files import Malformed
from lstm_spec.checkpoints.onnx.wire import check_parts
from tests.checkpoints.onnx.models import GOOD, field

MODEL = ModelProto.DESCRIPTOR
ROOT = Path(__file__).parents[3]

READ = """
import sys, time
import numpy, onnx
from lstm_spec.checkpoints import read_tensors
def peak():  # in kB; ru_maxrss begins at the size of the process that started this one
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
before = peak()
for path in sys.argv[1:]:
    try:
        read_tensors(path)
    except Exception as error:
        print(str(error).splitlines()[0])
    grown = (peak() - before) // 1024
    assert grown <= 40, f"{path}: {grown} MB"
assert time.process_time() <= 60
"""
PARTS = {
    "nodes": b"\x0a\x00",
    "attributes": b"\x0a\x02\x2a\x00",
    "initializers": b"\x2a\x00",
    "dims": b"\x2a\x02\x08\x01",
    "inputs": b"\x5a\x00",
}


@pytest.mark.slow
def test_many_empty_parts_cost_no_memory(tmp_path):
    """7 MB of empty nodes took 243 MB. One process reads all five: together they take no more than one may."""
    paths = [tmp_path / f"{name}.onnx" for name in PARTS]
    for path, part in zip(paths, PARTS.values(), strict=True):
        path.write_bytes(b"\x08\x08" + field(7, part * (7_000_000 // len(part))) + field(8, b"\x10\x0f"))
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, paths)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["error[too-large]: the model has too many parts"] * len(PARTS)


def test_a_broken_message_is_left_to_the_parser():
    for size in range(len(GOOD)):
        check_parts(GOOD[:size], MODEL)
    check_parts(b"\xff" * 1000, MODEL)
    check_parts(bytes(1000), MODEL)


def test_nesting_is_counted_in_any_place():
    inner = b""
    for _ in range(200):  # a type of a sequence of a type …, in an input
        inner = field(4, field(1, inner))
    with pytest.raises(Malformed) as caught:
        check_parts(field(7, field(11, field(2, inner))), MODEL)
    assert str(caught.value.finding) == "error[nesting]: the model is nested too deeply\n  expected 100 messages"
