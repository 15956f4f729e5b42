"""Hostile archives, storages and views in PyTorch files, each with the whole message that refuses it."""

import warnings
import zipfile

from tests.checkpoints.torch.hostile_pickles import BYTES, SAVE, SYSTEM, refused
from tests.checkpoints.torch.pickled import archive, call, legacy, state_dict, stream, table, tensor, text


def view(**options):
    return archive(state_dict({"w": tensor(**options)}), BYTES)


def with_flag(data, flag):
    """The archive with a flag set in the directory and in each local header."""
    changed = bytearray(data)
    for signature, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        start = 0
        while (start := changed.find(signature, start)) >= 0:
            changed[start + at] |= flag
            start += 4
    return bytes(changed)


def twice():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return archive(state_dict({"w": tensor()}), BYTES, [("m/data.pkl", stream(SYSTEM))])


ARCHIVES = {
    "two_data_pkl": (twice(), refused("the archive holds m/data.pkl twice", code="duplicate")),
    "two_roots": (
        archive(state_dict({"w": tensor()}), BYTES, [("n/data.pkl", stream(SYSTEM))]),
        refused("the archive must hold one data.pkl", found="m/data.pkl, n/data.pkl", code="archive"),
    ),
    "no_data_pkl": (
        archive(None, BYTES),
        refused("the archive must hold one data.pkl", found="none", code="archive"),
    ),
    "stride_0": (
        view(shape=(2**35, 2**35), stride=(0, 0), count=6),
        refused(
            "the shape of a tensor in the storage 0 is not one",
            expected="a shape that an array can have",
            found=f"[{2**35}, {2**35}]",
            code="shape",
        ),
    ),
    "short_storage": (
        archive(state_dict({"w": tensor()}), {"0": bytes(20)}),
        refused(
            "the storage 0 does not have the size of its values",
            expected="24 bytes for 6 float32",
            found="20 bytes",
            code="storage",
        ),
    ),
    "missing_storage": (
        archive(state_dict({"w": tensor()})),
        refused("the storage 0 is missing", expected="the member m/data/0", code="storage"),
    ),
    "storage_twice": (
        archive(state_dict({"w": tensor(), "v": tensor(count=7)}), BYTES),
        refused("the storage 0 is described twice, and differently", code="storage"),
    ),
    "negative_offset": (
        view(offset=-1),
        refused(
            "a tensor in the storage 0 has an offset or a stride that is none",
            expected="0 or more",
            found="(-1, 3, 1)",
            code="view",
        ),
    ),
    "negative_stride": (
        view(offset=5, stride=(-3, -1)),
        refused(
            "a tensor in the storage 0 has an offset or a stride that is none",
            expected="0 or more",
            found="(5, -3, -1)",
            code="view",
        ),
    ),
    "negative_shape": (
        view(shape=(-2, 3), stride=(3, 1), count=6),
        refused(
            "the shape of a tensor in the storage 0 is not one",
            expected="sizes from 0 to 2**63 - 1",
            found="[-2, 3]",
            code="shape",
        ),
    ),
    "outside": (
        view(offset=1, count=6),
        refused("a tensor in the storage 0 ends outside it", expected="at most 6 values", found="7", code="view"),
    ),
    "negative_count": (view(count=-6), refused("the storage 0 has no size", found="-6")),
    "member_elsewhere": (
        archive(state_dict({"w": tensor()}), BYTES, [("m/../../canary", b"")]),
        refused("the member m/../../canary is refused", because="its name is that of a file elsewhere", code="archive"),
    ),
    "key_elsewhere": (
        archive(state_dict({"w": tensor("../version", (3,))}), BYTES),
        refused("the storage ../version has a key that is none", expected="a plain name"),
    ),
    "torchscript_code": (
        archive(
            stream(call("__torch__.M", text("x"))),
            more=[("m/code/__torch__.py", b"import os\nos.system('touch canary')")],
        ),
        refused(
            "there are no tensors in this checkpoint",
            because="the pickle holds objects of other classes, first __torch__.M",
            help=SAVE,
            code="no-tensors",
        ),
    ),
    "tar": (
        b"pickle".ljust(257, b"\0") + b"ustar\x0000" + bytes(1000),
        refused("this is PyTorch's tar format of before 2017, which is not read", help=SAVE, code="unsupported"),
    ),
    "zip_bomb": (
        archive(bytes(2**24), method=zipfile.ZIP_DEFLATED),
        refused(
            "the member m/byteorder is refused", because="it is compressed, which PyTorch never does", code="archive"
        ),
    ),
    "large_pickle": (
        archive(bytes(33_000_000)),
        refused(
            "the member m/data.pkl is refused",
            because="it has 33000000 bytes, more than 32000000",
            code="archive",
        ),
    ),
    "encrypted": (
        with_flag(archive(state_dict({"w": tensor()}), BYTES), 1),
        refused("the member m/data.pkl is refused", because="it is encrypted or has unknown flags", code="archive"),
    ),
    "legacy_truncated": (
        legacy(table({"w": tensor(legacy=True)}), BYTES)[:-1],
        refused(
            "the file ends inside the storage 0", expected="{size+1} bytes", found="{size} bytes", code="truncated"
        ),
    ),
    "legacy_short": (
        legacy(table({"w": tensor(legacy=True)}), {"0": bytes(20)}),
        refused(
            "the storage 0 does not have the size of its values",
            expected="6 values",
            found="5 values",
            code="storage",
        ),
    ),
    "legacy_missing": (
        legacy(table({"w": tensor(legacy=True)}), {}),
        refused(
            "the storage 0 does not have the size of its values", expected="6 values", found="none", code="storage"
        ),
    ),
    "legacy_tail": (
        legacy(table({"w": tensor(legacy=True)}), BYTES) + b"x",
        refused(
            "bytes follow that belong to no storage", expected="{size-1} bytes", found="{size} bytes", code="storage"
        ),
    ),
    "empty": (b"", "error[empty]: the file is empty\n  at       {path}"),
}
