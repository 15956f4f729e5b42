"""Hostile PyTorch files: each is refused with its reason; nothing in it runs or is allocated before it is checked."""

import os
import sys
import tracemalloc

import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
from tests.checkpoints.torch.audited import AUDITED, run
from tests.checkpoints.torch.hostile_archives import ARCHIVES
from tests.checkpoints.torch.hostile_pickles import PICKLES
from tests.checkpoints.torch.pickled import archive, stream, text

SAMPLES = PICKLES | ARCHIVES


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_hostile_file_is_refused_for_its_reason(sample, write, monkeypatch, tmp_path):
    data, message = SAMPLES[sample]
    monkeypatch.chdir(tmp_path)
    path = write("m.pt", data)
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    for wrong, size in ("{size}", len(data)), ("{size+1}", len(data) + 1), ("{size-1}", len(data) - 1):
        message = message.replace(wrong, str(size))
    assert str(caught.value) == message.replace("{path}", str(path))
    assert os.listdir(tmp_path) == ["m.pt"]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_no_sample_runs_code_opens_a_file_or_takes_memory(tmp_path):
    """All samples in one process that has 200 MB left; nothing is opened but the files, nothing executed, no canary."""
    for name, (data, _) in SAMPLES.items():
        (tmp_path / f"{name}.pt").write_bytes(data)
    before = set(os.listdir(tmp_path))
    assert run(AUDITED, tmp_path) == "[] True True\n"
    assert set(os.listdir(tmp_path)) == before


def test_a_pickle_larger_than_its_member_never_allocates(write, refusal):
    path = write("m.pt", SAMPLES["text_of_2_to_62"][0])
    tracemalloc.start()
    refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000  # 8 MB of it for the directory
    tracemalloc.stop()


def test_names_cannot_steer_a_terminal(write):
    path = write("m.pt", archive(stream(text("evil\x1b]52;c;Zm9v\x07") + text("\u202eThing") + b"\x93)R")))
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert "first evil\\x1b]52;c;Zm9v\\x07.\\u202eThing" in str(caught.value)
