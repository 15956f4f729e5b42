"""PyTorch's rebuild functions as records: a storage, and a view of it that is checked before anything is read.

Source: torch/_utils.py, torch/serialization.py, torch/jit/_pickle.py, PyTorch 2.13.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from lstm_spec.checkpoints.files import malformed
from lstm_spec.checkpoints.shapes import checked_shape
from lstm_spec.checkpoints.torch.pickles import Known, bad_call, reduced
from lstm_spec.checkpoints.torch.records import Global, Table
from lstm_spec.errors import safe

KEY = re.compile(r"(?!\.+$)[\w.-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Dtype:
    """`name` for people, `size` in bytes, `code` for NumPy where it has the type, or its halves."""

    name: str
    size: int
    code: str | None = None


DTYPES: Mapping[str, Dtype] = {
    d.name: d
    for d in (
        *(Dtype(f"int{8 * s}", s, f"i{s}") for s in (1, 2, 4, 8)),
        *(Dtype(f"uint{8 * s}", s, f"u{s}") for s in (1, 2, 4, 8)),
        *(Dtype(f"float{8 * s}", s, f"f{s}") for s in (2, 4, 8)),
        *(Dtype(f"complex{8 * s}", s, f"c{s}") for s in (8, 16)),
        Dtype("bool", 1, "?"),
        Dtype("bfloat16", 2, "u2"),
        Dtype("complex32", 4),
        *(Dtype(f"float8_{kind}", 1) for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu")),
        Dtype("float4_e2m1fn_x2", 1),
        *(Dtype(name, size) for name, size in (("qint8", 1), ("quint8", 1), ("qint32", 4))),
        *(Dtype(name, 1) for name in ("quint4x2", "quint2x4")),
    )
}
BYTES = Dtype("untyped", 1)
STORAGES: Mapping[str, Dtype] = {
    "UntypedStorage": BYTES,
    **{
        f"{kind}Storage": DTYPES[name]
        for kind, name in (
            *(("Float", "float32"), ("Double", "float64"), ("Half", "float16"), ("BFloat16", "bfloat16")),
            *(("Long", "int64"), ("Int", "int32"), ("Short", "int16"), ("Char", "int8"), ("Byte", "uint8")),
            *(("Bool", "bool"), ("ComplexFloat", "complex64"), ("ComplexDouble", "complex128")),
            *(("QInt8", "qint8"), ("QUInt8", "quint8"), ("QInt32", "qint32")),
            *(("QUInt4x2", "quint4x2"), ("QUInt2x4", "quint2x4")),
        )
    },
}
STORAGE_MODULES = ("torch", "torch.storage", "torch.cuda")


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """`count` values of one dtype under a key; in the old format it may begin inside another, `whole`."""

    key: str
    dtype: Dtype
    count: int
    begin: int = 0
    whole: str = ""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.count * self.dtype.size


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A tensor: where its values lie in a storage, in values; None for a tensor that has none (meta)."""

    storage: Storage | None
    dtype: Dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_storage(persistent: Any) -> Storage | Global:
    """A persistent id: `("storage", FloatStorage, key, device, count[, view])`, or a class with its source (legacy)."""
    match persistent:
        case ("module", Global() as made_by, *_):
            return made_by
        case ("storage", Global(module=module, name=name), str(key), _, int(count), *view) if (
            module in STORAGE_MODULES and name in STORAGES
        ):
            if not KEY.fullmatch(key):
                raise malformed("pickle", f"the storage {safe(key)} has a key that is none", expected="a plain name")
            dtype = STORAGES[name]
            if type(count) is bool or not 0 <= count < 2**62:
                raise malformed("pickle", f"the storage {safe(key)} has no size", found=safe(count))
            return _part(key, dtype, count, view[0] if view else None)
    raise malformed("pickle", "a persistent id in the pickle is no storage")


def _part(key: str, dtype: Dtype, count: int, view: Any) -> Storage:
    """A legacy storage may be a part of another: `(key, offset, count)`."""
    match view:
        case None:
            return Storage(key, dtype, count)
        case (str(own), int(begin), int(size)) if min(begin, size) >= 0 and begin + size <= count:
            return Storage(f"{key}/{own}", dtype, size, begin, key)
    raise malformed("pickle", f"the storage {safe(key)} has a part that lies outside it")


def rebuild_view(storage: Any, offset: Any, shape: Any, stride: Any, *more: Any) -> View:
    """`torch._utils._rebuild_tensor_v2`; conjugated or negated values are not those that lie there."""
    dtype = storage.dtype if isinstance(storage, Storage) else None
    if dtype is None or dtype is BYTES:
        raise bad_call("torch._utils._rebuild_tensor_v2")
    flags = more[2] if len(more) > 2 and isinstance(more[2], Table) else Table()
    if flags.get("conj") or flags.get("neg"):
        dtype = Dtype(dtype.name, dtype.size)
    return checked_view(storage, dtype, offset, shape, stride)


def rebuild_typed_view(storage: Any, offset: Any, shape: Any, stride: Any, *more: Any) -> View:
    """`torch._utils._rebuild_tensor_v3`: the dtype, after two flags, stands beside an untyped storage."""
    dtype = _named_dtype(more[2]) if len(more) > 2 else None
    if not isinstance(storage, Storage) or dtype is None:
        raise bad_call("torch._utils._rebuild_tensor_v3")
    return checked_view(storage, dtype, offset, shape, stride)


def rebuild_meta(dtype: Any, shape: Any, *more: Any) -> View:
    """`torch._utils._rebuild_meta_tensor_no_storage`."""
    known = _named_dtype(dtype)
    if known is None or type(shape) is not tuple:
        raise bad_call("torch._utils._rebuild_meta_tensor_no_storage")
    return View(None, known, 0, checked_shape(shape, "a tensor"), ())


def _named_dtype(named: Any) -> Dtype | None:
    """The dtype behind `torch.uint16`."""
    return DTYPES.get(named.name) if isinstance(named, Global) and named.module == "torch" else None


def rebuild_parameter(data: Any, *more: Any) -> View:
    """`torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`."""
    if not isinstance(data, View):
        raise bad_call("torch._utils._rebuild_parameter")
    return data


def rebuild_from_type(function: Any, _type: Any, arguments: Any, _state: Any) -> Any:
    """`torch._tensor._rebuild_from_type_v2`: a tensor with attributes of its own."""
    return reduced(function, arguments, KNOWN)


def checked_view(storage: Storage, dtype: Dtype, offset: Any, shape: Any, stride: Any) -> View:
    """The view. Raises Malformed unless every value of it lies in its storage; Python's integers do not overflow."""
    what = f"a tensor in the storage {safe(storage.key)}"
    if type(shape) is not tuple or type(stride) is not tuple or len(shape) != len(stride):
        raise malformed("view", f"{what} has no shape and strides", expected="two tuples of one length")
    sizes = checked_shape(shape, what)
    if not all(type(step) is int and 0 <= step < 2**62 for step in (offset, *stride)):
        found = safe((offset, *stride[:8]))
        raise malformed("view", f"{what} has an offset or a stride that is none", expected="0 or more", found=found)
    count = storage.size // dtype.size
    last = (
        offset + sum((size - 1) * step for size, step in zip(sizes, stride, strict=True)) if prod(sizes) else offset - 1
    )
    if last >= count:
        raise malformed("view", f"{what} ends outside it", expected=f"at most {count} values", found=f"{last + 1}")
    return View(storage, dtype, offset, sizes, stride)


def ordered(pairs: Any = (), *more: Any) -> Table:
    """`collections.OrderedDict`, empty or from pairs."""
    if more or type(pairs) not in (list, tuple) or not all(type(p) in (list, tuple) and len(p) == 2 for p in pairs):
        raise bad_call("collections.OrderedDict")
    return Table([(key, value) for key, value in pairs])


def first(value: Any, *more: Any) -> Any:
    """TorchScript marks the types of lists and dicts by functions that give back their first argument."""
    return value


def size(values: Any = ()) -> tuple[Any, ...]:
    """`torch.Size`."""
    if type(values) not in (tuple, list):
        raise bad_call("torch.Size")
    return tuple(values)


KNOWN: Known = {
    "collections.OrderedDict": ordered,
    "torch.Size": size,
    "torch._utils._rebuild_tensor": rebuild_view,
    "torch._utils._rebuild_tensor_v2": rebuild_view,
    "torch._utils._rebuild_tensor_v3": rebuild_typed_view,
    "torch._utils._rebuild_qtensor": rebuild_view,
    "torch._utils._rebuild_meta_tensor_no_storage": rebuild_meta,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter,
    "torch._tensor._rebuild_from_type_v2": rebuild_from_type,
    **{
        f"torch.jit._pickle.{name}": first
        for name in ("build_tensorlist", "build_intlist", "build_doublelist", "build_boollist", "restore_type_tag")
    },
}


def collector(storages: dict[str, Storage]) -> Callable[[Any], Any]:
    """Persistent ids → storages, the same for the same key. Raises Malformed where two of a key differ."""

    def collect(persistent: Any) -> Any:
        storage = read_storage(persistent)
        if not isinstance(storage, Storage):
            return storage
        known = storages.setdefault(storage.key, storage)
        if (known.dtype, known.count, known.begin) != (storage.dtype, storage.count, storage.begin):
            raise malformed("storage", f"the storage {safe(storage.key)} is described twice, and differently")
        return known

    return collect
