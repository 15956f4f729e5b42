"""Tensors by name → the bytes of a file: npz, safetensors, a PyTorch state dict, a Flax tree. The same arrays, the same
bytes.

A writer is one line of `WRITERS`. A file is written whole or not at all: beside its place first, and then moved there.
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from lstm_spec.checkpoints.msgpack.writing import msgpack_bytes
from lstm_spec.checkpoints.safetensors import safetensors_bytes
from lstm_spec.checkpoints.torch.writing import torch_bytes
from lstm_spec.errors import FileError, Finding, safe
from lstm_spec.layers.weights import write_npz

Array = np.ndarray[Any, Any]


def npz_bytes(tensors: Mapping[str, Array]) -> bytes:
    """NumPy's archive."""
    file = io.BytesIO()
    write_npz(file, tensors)
    return file.getvalue()


WRITERS: Mapping[str, Callable[[Mapping[str, Array]], bytes]] = {
    ".npz": npz_bytes,
    ".safetensors": safetensors_bytes,
    ".pt": torch_bytes,
    ".pth": torch_bytes,
    ".msgpack": msgpack_bytes,
}


def write_bytes(path: str, data: bytes) -> None:
    """The bytes as a file, whole or not at all. Raises FileError when it cannot be written."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """A new file beside `path` that takes its place once it is whole. Raises FileError when it cannot be written."""
    beside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{secrets.token_hex(8)}")
    try:
        with open(beside, "xb") as file:
            yield file
        os.replace(beside, path)
    except OSError as error:
        because = safe(error.strerror or error)
        raise FileError(
            Finding("unwritable", "the output cannot be written", safe(path, None), because=because)
        ) from None
    finally:
        if os.path.lexists(beside):
            os.unlink(beside)
