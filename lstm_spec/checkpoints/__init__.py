"""Files → `Tensors`, without the framework that wrote them.

    path ──opened──▶ stream ──format_of──▶ FORMATS[…].read ──▶ Tensors ──Tensor.read──▶ array

A file is opened once, must be regular, and is read only as far as its shapes need; the values of a tensor are read
when they are asked for, from the same unchanged file. Nothing in it is executed, nothing it names is opened but an
ONNX model's data and an index's files in the directory of each, and nothing is allocated before its size is known to
be there. What is wrong with a file is a `FileError`.

files       a path → an open regular file; bytes and arrays of it; the words for what is wrong
remote      a URL → the same
windows     a part of an open file → a file of its own, for one format inside another
archives    a ZIP archive → its members, held against the file
shapes      foreign numbers → a shape
names       names given twice → names given once
json_data   a stranger's JSON → plain values, bounded before they are parsed
flow        what is computed from what → the order in which data runs through it
npy npz safetensors hdf5 keras msgpack onnx tflite torch    the formats, a file or a package each
opening     the table of readers: any path → `Tensors`
writing     the table of writers: arrays by name → a file, whole or not at all
index       an index of shards → which file is to hold which tensor
listed      what it lists, held against what they hold
shards      the files of one model → `Tensors`
listing     a directory, a pattern, a URL, a shard or an index → the files of each model

Each imports only those above it. What formats share knows none of them, and no format reads another, but that npz
holds npy and keras lies in hdf5; only the two tables know them all.
"""

from lstm_spec.checkpoints.opening import read_tensors

__all__ = ["read_tensors"]
