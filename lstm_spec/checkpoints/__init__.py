"""Files → `Tensors`, without the framework that wrote them.

    path ──opened──▶ stream ──format_of──▶ FORMATS[…].read ──▶ Tensors ──Tensor.read──▶ array

A file is opened once, must be regular, and is read only as far as its shapes need; the values of a tensor are read
when they are asked for, from the same unchanged file. Nothing in it is executed, nothing it names is opened, and
nothing is allocated before its size is known to be there. What is wrong with a file is a `FileError`.
"""

from lstm_spec.checkpoints.opening import read_tensors

__all__ = ["read_tensors"]
