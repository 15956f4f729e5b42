"""Files to read: real ones, and bytes that a test makes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError, Finding

collect_ignore = ["onnx/torch_cells.py"]  # needs torch; a test that has it imports it

MODELS = Path(__file__).parents[2].parent / "shared/data/models"

Write = Callable[[str, bytes], Path]
Refusal = Callable[[Path], Finding]


@pytest.fixture
def models() -> Path:
    if not MODELS.is_dir():
        pytest.skip(f"no {MODELS}")
    return MODELS


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return written


@pytest.fixture
def refusal() -> Refusal:
    """What a file is refused for; every message stays free of what steers a terminal."""

    def refused(path: Path) -> Finding:
        with pytest.raises(FileError) as caught:
            read_tensors(path)
        assert all(ch.isprintable() or ch == "\n" for ch in str(caught.value))
        assert caught.value.finding.at.startswith(str(path))
        return caught.value.finding

    return refused


@pytest.fixture
def survives() -> Callable[[Path, bytes], object]:
    """Reads a file of these bytes, values too: the tensors and arrays, or None after a FileError; nothing else."""

    def tried(path: Path, data: bytes) -> object:
        path.write_bytes(data)
        try:
            tensors = read_tensors(path)
            return tensors, {name: tensor.load() for name, tensor in tensors.items() if tensor.load}
        except FileError as error:
            str(error)
            return None

    return tried
