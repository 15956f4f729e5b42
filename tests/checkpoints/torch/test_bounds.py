"""PyTorch files that would take all memory or all time, or are broken at random: refused within bounds."""

import random
import sys

import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.checkpoints.torch.pickles import MAX_RECORDS
from tests.checkpoints.torch.audited import AUDITED, run
from tests.checkpoints.torch.pickled import (
    archive,
    group,
    legacy,
    number,
    state_dict,
    stream,
    table,
    tensor,
    text,
)

BYTES = {"0": bytes(24)}
BOMBS = {
    "dicts": stream(b"}" * (MAX_RECORDS + 2)),
    "lists": stream(b"]" * 31_000_000),
    "tuples": stream(b")" + b"\x85" * (MAX_RECORDS + 2)),
    "globals": stream(b"ca\nb\n" * (MAX_RECORDS + 2)),
    "numbers": stream(b"M\xff\xff" * 4_100_000),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_bombs_are_refused_within_200_mb(tmp_path):
    for name, data in BOMBS.items():
        (tmp_path / f"{name}.pt").write_bytes(archive(data))
    print(out := run(AUDITED.replace("slowest < 5", "slowest < 20"), tmp_path))
    assert out == "[] True True\n"


def laughs(levels):
    """Each list holds the one before ten times."""
    body = text("w") + tensor() + text("laughs") + b"]q\0"
    for level in range(1, levels):
        body += b"0](" + b"h" + bytes([level - 1]) + (b"h" + bytes([level - 1])) * 9 + b"eq" + bytes([level])
    return archive(stream(b"}(" + body + b"u"), BYTES)


def test_shared_records_are_walked_once(write):
    """10**40 paths lead to the innermost list."""
    assert list(read_tensors(write("m.pt", laughs(40)))) == ["w"]


def test_a_record_that_holds_itself(write):
    data = archive(stream(b"}q\0(" + text("w") + tensor() + text("self") + b"h\0u"), BYTES)
    assert list(read_tensors(write("m.pt", data))) == ["w"]


def test_a_view_that_repeats_its_values_has_a_shape_alone(write):
    tensors = read_tensors(
        write("m.pt", archive(state_dict({"w": tensor(shape=(1000, 1000), stride=(0, 0), count=6)}), BYTES))
    )
    assert (tensors["w"].shape, tensors["w"].load) == ((1000, 1000), None)


@pytest.mark.parametrize("count", [300, pytest.param(3_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_flipped_bytes_and_truncations_end_in_words(kind, count, write, survives):
    items = {"rnn.weight_ih_l0": tensor(legacy=kind == "legacy"), "n": number(3), "t": group(text("x"))}
    data = archive(state_dict(items), BYTES) if kind == "zip" else legacy(table(items), BYTES)
    path, draw, read = write("m.pt", data), random.Random(0), 0
    assert survives(path, data) is not None
    for _ in range(count):
        changed = bytearray(data)
        changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        read += survives(path, bytes(changed)) is not None
    assert read < count
    for end in range(0, len(data), max(1, len(data) * 2 // count)):
        assert survives(path, data[:end]) is None
