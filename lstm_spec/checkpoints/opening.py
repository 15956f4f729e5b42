"""Any path → `Tensors`: opened, recognised by its content, held against its suffix, handed to its reader.

Where the content says nothing (ONNX has no magic number) the suffix decides; where the two differ neither does. A
suffix that several formats share (`.bin`, `.ckpt`) says nothing. A format is one line of `FORMATS`; one without a
reader is known by name, and said to be not read.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BufferedReader

from lstm_spec.checkpoints.files import File, Malformed, blamed_on, malformed, opened
from lstm_spec.checkpoints.keras.reading import join_hdf5, read_hdf5, read_keras, walk_hdf5
from lstm_spec.checkpoints.msgpack.reading import read_msgpack
from lstm_spec.checkpoints.npy import read_npy
from lstm_spec.checkpoints.npz import read_npz
from lstm_spec.checkpoints.onnx.reading import read_onnx
from lstm_spec.checkpoints.remote import is_url, opened_remote
from lstm_spec.checkpoints.safetensors import read_safetensors
from lstm_spec.checkpoints.tflite.reading import read_tflite
from lstm_spec.checkpoints.torch.reading import read_torch
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Tensors

Reader = Callable[[File, BufferedReader], Tensors]

HEAD_SIZE = 512


@dataclass(frozen=True, slots=True)
class Format:
    """A format by the words for it, the suffixes that claim it, its reader, and what to do without one."""

    words: str
    suffixes: tuple[str, ...] = ()
    read: Reader | None = None
    help: str = ""


FORMATS = {
    "safetensors": Format("a safetensors file", (".safetensors",), read_safetensors),
    "npz": Format("a NumPy archive", (".npz",), read_npz),
    "onnx": Format("an ONNX model", (".onnx",), read_onnx),
    "tflite": Format("a TFLite model", (".tflite",), read_tflite),
    "npy": Format("a single NumPy array", (".npy",), read_npy),
    "torch": Format("a PyTorch checkpoint or another pickle", (".pt", ".pth", ".pkl"), read_torch),
    "hdf5": Format("an HDF5 file", (".h5", ".hdf5"), read_hdf5),
    "keras": Format("a Keras archive", (".keras",), read_keras),
    "msgpack": Format("a Flax MessagePack file", (".msgpack",), read_msgpack),
    "tensorflow": Format("a TensorFlow checkpoint", help="tf.train.load_checkpoint reads it; numpy.savez its arrays"),
    "zip": Format("a ZIP archive"),
    "gzip": Format("a gzip-compressed file", help="unpack it first"),
    "lfs": Format("a Git LFS pointer, not the file itself", help="fetch the file: git lfs pull"),
    "html": Format("a web page", help="the download went wrong; download the file itself"),
}
# Suffixes of checkpoints in more than one format, and of other things: the content says which.
SHARED = (".bin", ".model", ".params", ".tar")
BY_SUFFIX = {suffix: name for name, known in FORMATS.items() for suffix in known.suffixes}
# model.ckpt-1000.index, variables.index, and the data beside them
TENSORFLOW = re.compile(
    r"(?s)(?P<stem>(?=.*\.data-|.*(?:ckpt|variables)[^/\\]*\.index\Z).+)(?:\.data-\d{5}-of-\d{5}|\.index)"
)

# An ONNX model usually begins with its IR version (field 1), then a string, the graph or the opsets.
SIGNATURES = (
    (re.compile(rb"\x89HDF\r\n\x1a\n"), "hdf5"),
    (re.compile(rb"\x93NUMPY"), "npy"),
    (re.compile(rb"PK\x05\x06"), "npz"),
    (re.compile(rb"\x80[\x02-\x05][^\x00]"), "torch"),
    (re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x28\x32\x3a\x42]"), "onnx"),
    (re.compile(rb"....TFL3", re.DOTALL), "tflite"),
    (re.compile(rb"\x1f\x8b\x08"), "gzip"),
    (re.compile(rb"version https://git-lfs"), "lfs"),
    (re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE), "html"),
    # A table of at most fifteen entries of which the first has a short name: flax.serialization.to_bytes.
    (re.compile(rb"[\x81-\x8f](?:[\xa1-\xbf]|\xd9[\x20-\xff])[ -~]"), "msgpack"),
)
# What a file must begin with to be known without a suffix, where the signature is too short to tell it from chance.
UNMISTAKABLE = {
    "torch": re.compile(rb"PK\x03\x04|\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\."),
    "onnx": re.compile(rb"\x08[\x03-\x1f]\x12[\x03-\x3f][ -~]{3}"),
    "msgpack": re.compile(rb"[\x81-\x8f][\xa3-\xbf]\w{3}"),
}
# The first member of an archive tells who wrote it.
TORCH_MEMBER = rb"(.*/)?(data\.pkl|\.format_version|version|byteorder|data/[\w.]+|code/.*|constants\.pkl)"
MEMBERS = (
    (re.compile(rb".*\.npy", re.DOTALL), "npz"),
    (re.compile(TORCH_MEMBER, re.DOTALL), "torch"),
    (re.compile(rb"(metadata|config)\.json|model\.weights\.h5"), "keras"),
)


def read_tensors(path: str | os.PathLike[str]) -> Tensors:
    """The tensors of a checkpoint file or URL, by name, with the recurrent operators that the file itself declares.

    Shapes are read at once, values when asked for. Raises FileError when the file is missing, is not what its
    suffix says, is broken, or is in a format that is not read; MissingPackageError when its reader needs a package.
    """
    name = os.fsdecode(path)
    with blamed_on(name), (opened_remote if is_url(name) else opened)(name) as (file, stream):
        head = stream.read(HEAD_SIZE)
        reader = reader_of(name, head, file.size)
        stream.seek(0)
        return reader(file, stream)


def read_hdf5_shards(paths: Sequence[str]) -> tuple[Tensors, list[dict[str, int]]]:
    """The tensors of a model whose parts some HDF5 files are, and each file's own datasets by path, with their bytes.

    Raises what `read_tensors` does, and FileError when two files hold one dataset.
    """
    parts = []
    for path in paths:
        with blamed_on(path), (opened_remote if is_url(path) else opened)(path) as (file, stream):
            reader_of(path, stream.read(HEAD_SIZE), file.size)  # refuses what is no HDF5
            stream.seek(0)
            parts.append(walk_hdf5(file, stream))
    with blamed_on(paths[0]):
        return join_hdf5(parts), [{path: d.nbytes for path, d in contents.datasets.items()} for _, contents in parts]


def reader_of(name: str, head: bytes, size: int) -> Reader:
    """The reader for a file. Raises Malformed when its content and its suffix agree on none."""
    if not head:
        raise malformed("empty", "the file is empty")
    known = FORMATS[format_of(name, head, size)]
    if known.read is None:
        raise malformed(
            "unsupported", f"this version does not read {known.words}", expected=_readable(), help=known.help
        )
    return known.read


def format_of(name: str, head: bytes, size: int) -> str:
    """The key in `FORMATS` on which suffix and content agree, or that one of them gives and the other leaves open."""
    suffix = os.path.splitext(name)[1].lower()
    claimed, found = BY_SUFFIX.get(suffix), sniff(head, size)
    if found is None and TENSORFLOW.fullmatch(name):
        return "tensorflow"
    if claimed and found and claimed != found:
        raise _mismatch(suffix, FORMATS[claimed], FORMATS[found])
    if decided := claimed or found:
        return decided
    help = "it lists the shards of a model; name their folder" if name.endswith(".index.json") else ""
    raise malformed("unknown-format", "the file is in no format that is known here", expected=_readable(), help=help)


def _mismatch(suffix: str, claimed: Format, found: Format) -> Malformed:
    rename = f"if that is what it is, name it *{found.suffixes[0]}" if found.suffixes else ""
    return malformed(
        "mismatch",
        f"the file is named {safe(suffix)} but looks like {found.words}",
        expected=claimed.words,
        found=found.words,
        help=rename or found.help,
    )


def is_checkpoint(name: str) -> bool:
    """Whether a file whose name says nothing begins as a checkpoint does; one that cannot be looked into does not."""
    if not is_url(name) and not os.path.isfile(name):
        return False
    try:
        with (opened_remote if is_url(name) else opened)(name) as (file, stream):
            head = stream.read(HEAD_SIZE)
    except (Malformed, OSError):
        return False
    found = sniff(head, file.size)
    if found is None or FORMATS[found].read is None:
        return found == "lfs" and os.path.splitext(name)[1].lower() in SHARED
    return found not in UNMISTAKABLE or bool(UNMISTAKABLE[found].match(head))


def sniff(head: bytes, size: int) -> str | None:
    """The format that the first bytes of a file of `size` bytes show; None when they show none."""
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors"
    if head.startswith(b"PK\3\4"):
        return _sniff_archive(head)
    return next((found for pattern, found in SIGNATURES if pattern.match(head)), None)


def _sniff_archive(head: bytes) -> str:
    (name_size,) = struct.unpack_from("<H", head.ljust(30, b"\0"), 26)
    member = head[30 : 30 + name_size]
    return next((found for pattern, found in MEMBERS if pattern.fullmatch(member)), "zip")


def _readable() -> str:
    *others, last = (known.words for known in FORMATS.values() if known.read)
    return f"{', '.join(others)} or {last}"
