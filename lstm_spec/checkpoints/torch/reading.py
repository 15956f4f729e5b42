"""A PyTorch checkpoint → `Tensors`, without PyTorch: its ZIP archive, TorchScript's, and the format before 1.6.

One pickle names the tensors; it is read as records (`pickles`), never unpickled. The values lie beside it as they are,
and are read when they are asked for. Source: torch/serialization.py, PyTorch 2.13.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BufferedReader
from math import prod

from lstm_spec.checkpoints.files import Bfloat16, File, malformed
from lstm_spec.checkpoints.torch.archive import read_archive
from lstm_spec.checkpoints.torch.legacy import read_legacy
from lstm_spec.checkpoints.torch.tensors import View
from lstm_spec.checkpoints.torch.values import Region, Strided
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensor, Tensors

TAR = (257, b"ustar")
SAVE = "save it with torch.save(model.state_dict(), 'model.pt'), or convert it to safetensors"


def read_torch(file: File, stream: BufferedReader) -> Tensors:
    """The tensors of the checkpoint, and the LSTM modules that a pickled model holds.

    Raises Malformed for a file of another kind, a pickle that would run code, a tensor that lies outside its values.
    """
    head = stream.read(TAR[0] + len(TAR[1]))
    stream.seek(0)
    if head.startswith(b"PK\3\4"):
        found, regions = read_archive(file, stream)
    elif head.startswith(b"\x80"):
        found, regions = read_legacy(file, stream)
    elif head[TAR[0] :] == TAR[1]:
        raise malformed("unsupported", "this is PyTorch's tar format of before 2017, which is not read", help=SAVE)
    else:
        raise malformed("pickle", "this is no PyTorch checkpoint", expected="a ZIP archive or pickle", help=SAVE)
    if not found.views:
        because = f"the pickle holds objects of other classes, first {safe(found.opaque)}" if found.opaque else ""
        raise malformed("no-tensors", "there are no tensors in this checkpoint", because=because, help=SAVE)
    tensors = {name: _tensor(file, name, view, regions) for name, view in found.views.items()}
    return Tensors(safe(file.path, None), "torch", tensors, tuple(found.operators))


def _tensor(file: File, name: str, view: View, regions: Mapping[str, Region]) -> Tensor:
    repeated = view.storage is not None and prod(view.shape) * view.dtype.size > max(view.storage.size, 1)
    if view.storage is None or view.dtype.code is None or repeated:
        return Tensor(name, view.shape, view.dtype.name)
    region = regions[view.storage.key]
    load = Strided(file, region, view.dtype.code, view.offset, view.shape, view.stride)
    return Tensor(name, view.shape, view.dtype.name, Bfloat16(load) if view.dtype.name == "bfloat16" else load)
