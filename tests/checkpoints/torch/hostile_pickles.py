"""Hostile pickles in PyTorch files, each with the whole message that refuses it."""

import struct

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


NOT_TORCH = {
    "expected": "the number with which torch.save begins",
    "because": "a plain pickle keeps its arrays inside other pickles, which are not read",
    "help": "save it with torch.save(model.state_dict(), 'model.pt'), or convert it to safetensors",
}
SAVE = NOT_TORCH["help"]
OLD = {"help": "nothing in it was run"}
LAUGHS = b"]" + b"".join(b"q%c" % i + b"](" + b"h%c" % i * 10 + b"e" for i in range(60))

PICKLES = {
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
    "plain_pickle": (stream(table({"w": text("x")})), refused("this pickle is no PyTorch checkpoint", **NOT_TORCH)),
    "surrogate_name": (
        archive(state_dict({"w\ud800": tensor()}), BYTES),
        refused("the name w\\ud800 is not one", expected="Unicode text up to 4000", code="name"),
    ),
    "one_name_twice": (
        archive(stream(b"}(" + (text("w") + tensor()) * 2 + b"u"), BYTES),
        refused("the checkpoint names w twice", code="duplicate"),
    ),
}
