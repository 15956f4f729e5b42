"""Hostile protobuf is weighed before it is parsed."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from onnx import ModelProto

from lstm_spec.checkpoints.files import Malformed
from lstm_spec.checkpoints.wire import check_parts
from tests.checkpoints.onnx_models import GOOD, field

MODEL = ModelProto.DESCRIPTOR
ROOT = Path(__file__).parents[2]

READ = """
import resource, sys
import numpy, onnx
from lstm_spec.checkpoints import read_tensors
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_tensors(sys.argv[1])
except Exception as error:
    print(str(error).splitlines()[0])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    "part",
    [b"\x0a\x00", b"\x0a\x02\x2a\x00", b"\x2a\x00", b"\x2a\x02\x08\x01", b"\x5a\x00"],
    ids=["nodes", "attributes", "initializers", "dims", "inputs"],
)
def test_many_empty_parts_cost_no_memory(tmp_path, part):
    """7 MB of empty nodes took 243 MB."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08" + field(7, part * (7_000_000 // len(part))) + field(8, b"\x10\x0f"))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    said, megabytes = done.stdout.splitlines()
    assert said == "error[too-large]: the model has too many parts"
    assert int(megabytes) <= 40
    assert time.monotonic() - began <= 20


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
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
