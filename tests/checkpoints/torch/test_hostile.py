"""Hostile PyTorch files: each is refused with its reason; nothing in it runs or is allocated before it is checked."""

import os
import struct
import sys
import tracemalloc
import zipfile

import pytest

from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import FileError
from tests.checkpoints.torch.audited import AUDITED, run
from tests.checkpoints.torch.pickled import (
    archive,
    call,
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
RUNS = (
    "error[code]: the pickle would run {}\n"
    "  at       {{path}}\n"
    "  because  no checkpoint needs it; loading this file with pickle or torch.load can run code\n"
    "  help     nothing in it was run; do not load this file"
)
SYSTEM = b"cposix\nsystem\n" + group(text("touch canary")) + b"R"
STACKED = text("builtins") + text("eval") + b"\x93" + group(text("open('canary', 'w')")) + b"R"


def refused(message, *, expected="", found="", because="", help="", code="pickle"):
    lines = [f"error[{code}]: {message}", "  at       {path}"]
    for label, value in (("expected", expected), ("found", found), ("because", because), ("help", help)):
        lines += [f"  {label:<8} {value}"] if value else []
    return "\n".join(lines)


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
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return archive(state_dict({"w": tensor()}), BYTES, [("m/data.pkl", stream(SYSTEM))])


NOT_TORCH = {
    "expected": "the number with which torch.save begins",
    "because": "a plain pickle keeps its arrays inside other pickles, which are not read",
    "help": "save it with torch.save(model.state_dict(), 'model.pt'), or convert it to safetensors",
}
SAVE = NOT_TORCH["help"]
OLD = {"help": "nothing in it was run"}
LAUGHS = b"]" + b"".join(b"q%c" % i + b"](" + b"h%c" % i * 10 + b"e" for i in range(60))

SAMPLES = {
    "reduce_in_zip": (archive(stream(SYSTEM)), RUNS.format("posix.system")),
    "stack_global": (archive(stream(STACKED)), RUNS.format("builtins.eval")),
    "legacy_fourth_pickle": (legacy(SYSTEM, {}), RUNS.format("posix.system")),
    "before_the_magic": (stream(SYSTEM) + legacy(table({}), {}), RUNS.format("posix.system")),
    "after_the_magic": (legacy(table({}), {})[:15] + stream(SYSTEM), RUNS.format("posix.system")),
    "in_the_keys": (legacy(table({}), {})[: -len(stream(b"](e"))] + stream(SYSTEM), RUNS.format("posix.system")),
    "protocol_0": (
        b"cposix\nsystem\n(S'touch canary'\ntR.",
        refused("this is no PyTorch checkpoint", expected="a ZIP archive or pickle", help=SAVE),
    ),
    "protocol_0_in_zip": (
        archive(b"cposix\nsystem\n(S'touch canary'\ntR."),
        RUNS.format("posix.system"),
    ),
    "instance_opcode": (
        archive(b"(S'touch canary'\nios\nsystem\n."),
        refused("the pickle uses the opcode STRING, which no checkpoint needs", **OLD),
    ),
    "memo_hidden": (
        archive(stream(text("os") + b"q\0" + b"0" + text("system") + b"q\x010h\0h\1\x93)R")),
        RUNS.format("os.system"),
    ),
    "inside_a_tensor": (
        archive(state_dict({"w": tensor(), "v": call("torch._utils._rebuild_parameter", STACKED)}), BYTES),
        RUNS.format("builtins.eval"),
    ),
    "import_by_getattr": (
        archive(stream(call("builtins.getattr", b"cos\nsystem\n"))),
        RUNS.format("builtins.getattr"),
    ),
    "two_data_pkl": (twice(), refused("the archive holds m/data.pkl twice", code="duplicate")),
    "two_roots": (
        archive(state_dict({"w": tensor()}), BYTES, [("n/data.pkl", stream(SYSTEM))]),
        refused("the archive must hold one data.pkl", found="m/data.pkl, n/data.pkl", code="archive"),
    ),
    "no_data_pkl": (
        archive(None, BYTES),
        refused("the archive must hold one data.pkl", found="none", code="archive"),
    ),
    "broken_tail": (
        archive(state_dict({"w": tensor()})[:-5], BYTES),
        refused("the pickle ends too early", expected="1 bytes", found="0"),
    ),
    "bytes_after_the_end": (
        archive(state_dict({"w": tensor()}) + SYSTEM, BYTES),
        refused("bytes follow after the pickle", found=f"{len(SYSTEM)} bytes"),
    ),
    "unknown_global": (
        archive(stream(call("evil.Thing", text("x")))),
        refused(
            "there are no tensors in this checkpoint",
            because="the pickle holds objects of other classes, first evil.Thing",
            help=SAVE,
            code="no-tensors",
        ),
    ),
    "billion_laughs": (
        archive(stream(LAUGHS)),
        refused("the pickle is broken", because="it does not end with one value"),
    ),
    "long4": (
        archive(b"\x80\x02\x8b\xff\xff\xff\x7f."),
        refused("the pickle ends too early", expected="2147483647 bytes", found="1"),
    ),
    "long4_negative": (
        archive(b"\x80\x02\x8b\xff\xff\xff\xff."),
        refused("the pickle is broken", because="long4 byte count < 0: -1"),
    ),
    "large_number": (
        archive(stream(b"\x8a\xff" + bytes(254) + b"\x7f")),
        refused("a number in the pickle is too large", expected="at most 256 bits"),
    ),
    "memo_index": (
        archive(stream(b"}r\0\0\0\x80")),
        refused("the pickle numbers a value beyond its opcodes", found="2147483648"),
    ),
    "memo_unset": (
        archive(stream(b"j\1\0\0\0")),
        refused("the pickle asks for a value that it never stored", found="1"),
    ),
    "frame": (
        archive(b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"}."),
        refused("a frame is longer than the pickle", expected=f"{2**62} bytes", found="2 bytes"),
    ),
    "text_of_2_to_62": (
        archive(b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x."),
        refused("the pickle ends too early", expected=f"{2**62} bytes", found="2"),
    ),
    "long_line": (
        archive(b"\x80\x02c" + b"a" * 5000 + b"\n."),
        refused("a name in the pickle is too long", expected="at most 1000 bytes"),
    ),
    "marks": (
        archive(stream(b"(" * 100)),
        refused("the pickle is nested too deeply", expected="64 levels", code="nesting"),
    ),
    "nested_lists": (
        archive(state_dict({"w": tensor(), "deep": b"]" + b"]" * 200 + b"a" * 200}), BYTES),
        refused("the checkpoint is nested too deeply", expected="64 levels", code="nesting"),
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
    "setitems_on_a_list": (
        archive(stream(b"](" + text("w") + tensor() + b"u"), BYTES),
        refused("the pickle sets items of what is no dict", found="list"),
    ),
    "setitem_on_a_tensor": (
        archive(stream(tensor() + text("w") + b"Ns"), BYTES),
        refused("the pickle sets items of what is no dict", found="View"),
    ),
    "append_to_a_dict": (archive(stream(b"}Na")), refused("the pickle appends to what is no list", found="Table")),
    "state_of_a_tensor": (
        archive(stream(tensor() + b"}b"), BYTES),
        refused("the pickle gives a state to what has none", found="View"),
    ),
    "call_of_a_text": (
        archive(stream(text("os.system") + b")R")),
        refused("the pickle calls what is no class or function", found="str"),
    ),
    "wrong_arguments": (
        archive(stream(call("torch._utils._rebuild_tensor_v2", text("w")))),
        refused("the arguments of torch._utils._rebuild_tensor_v2 are not what it takes"),
    ),
    "persistent_code": (
        archive(stream(group(text("storage"), text("os.system"), text("0"), text("cpu"), number(1)) + b"Q")),
        refused("a persistent id in the pickle is no storage"),
    ),
    "empty_stack": (
        archive(stream(b"R")),
        refused("the pickle is broken", because="an opcode finds nothing to work on"),
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
    "plain_pickle": (stream(table({"w": text("x")})), refused("this pickle is no PyTorch checkpoint", **NOT_TORCH)),
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
    "surrogate_name": (
        archive(state_dict({"w\ud800": tensor()}), BYTES),
        refused("the name w\\ud800 is not one", expected="Unicode text up to 4000", code="name"),
    ),
    "one_name_twice": (
        archive(stream(b"}(" + (text("w") + tensor()) * 2 + b"u"), BYTES),
        refused("the checkpoint names w twice", code="duplicate"),
    ),
    "empty": (b"", "error[empty]: the file is empty\n  at       {path}"),
}


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
