"""An index is a stranger's: bounded before it is parsed, and what it lists held against rules before it is opened."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from safetensors.numpy import save, save_file

import lstm_spec as ls
from tests.checkpoints import every_format
from tests.checkpoints.test_promises import LIMITED, watched
from tests.conformance.sets import torch_names

AWAY = "fetch it again, or move it away: the files are then read by their own names"
INDEX = "model.safetensors.index.json"


def told(source) -> list[str]:
    return [str(finding) for finding in ls.check(source, numbers=False).findings]


def message(source, ask=ls.read) -> str:
    with pytest.raises(ls.LstmSpecError) as caught:
        ask(source)
    return str(caught.value)


def listing(value):
    return json.dumps({"weight_map": {"m.w": value}})


def refused(where, expected, found):
    return f"error[index]: the index has m.w {where}\n  expected {expected}\n  found    {found}"


def elsewhere(name, shown=None):
    inside = "a name in the index's own directory"
    return listing(name), refused("at a place that is not opened", inside, f"'{shown or name}'")


def no_tensors(data, found):
    expected = "weight_map: a table of each tensor's file"
    return (
        data,
        f"error[index]: the index lists no tensors\n  expected {expected}\n  found    {found}\n  help     {AWAY}",
    )


def no_name(value, shown):
    return listing(value), f"error[index]: the file of m.w is no name\n  expected a name\n  found    {shown}"


def too_large(what, expected, found=""):
    return f"error[too-large]: the index {what}\n  expected at most {expected}" + (
        f"\n  found    {found}" * bool(found)
    )


HOSTILE = {
    "up": elsewhere("../secret.safetensors"),
    "below": elsewhere("sub/secret.safetensors"),
    "absolute": elsewhere("/etc/secret.safetensors"),
    "itself": elsewhere("."),
    "parent": elsewhere(".."),
    "empty": elsewhere(""),
    "home": elsewhere("~root.safetensors"),
    "windows": elsewhere("..\\secret.safetensors"),
    "drive": elsewhere("C:secret.safetensors"),
    "stream": elsewhere("a.safetensors:secret.safetensors"),
    "url": elsewhere("https://example.invalid/a.safetensors"),
    "chain": elsewhere("zip::a.safetensors"),
    "nul": elsewhere("a\0.safetensors", "a\\x00.safetensors"),
    "escape": elsewhere("a\x1b[2J.safetensors", "a\\x1b[2J.safetensors"),
    "surrogate": elsewhere("a\ud800.safetensors", "a\\ud800.safetensors"),
    "long": elsewhere("a" * 300 + ".safetensors", "a" * 199 + "…"),
    "another format": (
        listing("id_rsa"),
        refused("in a file of another format", "a file named *.safetensors", "'id_rsa'"),
    ),
    "link": (
        listing("link.safetensors"),
        refused("behind a link that leads elsewhere", "a file in the index's own directory", "'link.safetensors'"),
    ),
    "link to a link": (
        listing("again.safetensors"),
        refused("behind a link that leads elsewhere", "a file in the index's own directory", "'again.safetensors'"),
    ),
    "a number": no_name(3, "int"),
    "no file": no_name([], "[]"),
    "a list of more": no_name(["a.safetensors", None], "['a.safetensors', None]"),
    "a table": no_name({"a": "b"}, "dict"),
    "nothing listed": no_tensors('{"weight_map": {}}', "nothing in it"),
    "no table": no_tensors('{"weight_map": ["a"], "metadata": {}}', "weight_map, metadata"),
    "nothing": no_tensors("{}", "an empty table"),
    "a list": ("[]", "error[index]: the index is not a table\n  found    list"),
    "no JSON": (
        "version https://git-lfs",
        "error[index]: the index is not JSON\n  because  Expecting value: line 1 column 1 (char 0)",
    ),
    "no text": (
        b"\xff{}",
        "error[index]: the index is not JSON\n"
        "  because  'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    "twice": ('{"weight_map": {"a": "b", "a": "c"}}', "error[duplicate]: the index names a twice"),
    "NaN": ('{"weight_map": NaN}', "error[index]: the index holds a number that is none\n  found    NaN"),
    "deep": (
        '{"weight_map": ' + "[" * 5000 + "]" * 5000 + "}",
        "error[nesting]: the index is nested too deeply\n  expected at most 100 levels\n  found    5001",
    ),
    "long text": (
        '{"weight_map": {"a": "b"}}' + " " * 20_000_000,
        too_large("is too long", "20000000 bytes", "20000026"),
    ),
    "parts": (
        '{"weight_map": [' + "0," * 300_000 + "0]}",
        too_large("has too many parts", "300000", "300002"),
    ),
    "strings": ('""' * 600_001, too_large("has too many strings", "600000")),
    "tensors": (
        json.dumps({"weight_map": {str(number): "a.safetensors" for number in range(100_001)}}),
        too_large("lists too many tensors", "100000"),
    ),
    "files": (
        json.dumps({"weight_map": {str(number): f"{number}.safetensors" for number in range(10_001)}}),
        too_large("lists too many files", "10000"),
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_index_that_lies_is_refused(tmp_path, case):
    """As the argument, in a folder and beside a file, which it may list: told, and nothing that it names is read."""
    data, expected = HOSTILE[case]
    save_file(torch_names(), tmp_path / "secret.safetensors")
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    (folder / "again.safetensors").symlink_to("link.safetensors")
    (folder / "plain.safetensors").write_bytes(save(torch_names(n=5)))
    (folder / INDEX).write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    first, *rest = expected.split("\n")
    expected = "\n".join([first, f"  at       {folder / INDEX}", *rest])
    assert message(folder / INDEX, ls.check) == expected
    assert message(folder / INDEX) == expected
    for link in ("link.safetensors", "again.safetensors"):
        (folder / link).unlink() if case not in ("link", "link to a link") else None
    report = ls.check(folder / "plain.safetensors", numbers=False)
    assert [str(finding) for finding in report.findings] == [expected]
    assert [dict(found.layer.given)["n"] for found in report.layers] == [5]
    assert expected in told(folder)


def test_an_index_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / INDEX)
    assert message(tmp_path / INDEX, ls.check) == (
        f"error[not-a-file]: this is not a regular file\n  at       {tmp_path / INDEX}\n"
        "  expected a regular file\n  found    a pipe, a socket or a device"
    )


def test_a_listed_name_of_what_is_no_file(tmp_path):
    (tmp_path / "pipe.safetensors").mkdir()
    (tmp_path / INDEX).write_text(listing("pipe.safetensors"))
    assert message(tmp_path / INDEX, ls.check) == (
        f"error[not-a-file]: this is not a regular file\n  at       {tmp_path / 'pipe.safetensors'}\n"
        "  expected a regular file\n  found    a directory"
    )


# ---- the promises of SECURITY.md ----

NUMBERED = "m{}.safetensors.index.json"


def test_s3_an_index_opens_no_file_but_shards_beside_it(tmp_path):
    """Whatever else it lists is refused unopened; so is what a link beside it leads to. None of it is the network."""
    rnn = every_format.torch_arrays()
    (tmp_path / "secret.safetensors").write_bytes(save(rnn))
    folder = tmp_path / "files"
    folder.mkdir()
    for number, name in enumerate(("a", "b")):
        (folder / f"{name}.safetensors").write_bytes(save(dict(list(rnn.items())[2 * number : 2 * number + 2])))
    (folder / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    (folder / "id_rsa").write_bytes(b"secret")
    listed = {name: f"{'ab'[number // 2]}.safetensors" for number, name in enumerate(rnn)}
    secret = str(tmp_path / "secret.safetensors")
    names = ("../secret.safetensors", secret, f"file://{secret}", "link.safetensors", "id_rsa")
    for number, name in enumerate(names):
        (folder / NUMBERED.format(number)).write_text(json.dumps({"weight_map": {**listed, "stray": name}}))
    (folder / NUMBERED.format("")).write_text(json.dumps({"weight_map": listed}))
    found = watched(folder)
    events = {name: result["events"] for name, result in found.items()}
    assert not [event for happened in events.values() for event in happened if event[0] != "open" or event[2]]
    opened = {name: {Path(event[1]).name for event in happened} for name, happened in events.items()}
    indexes = {NUMBERED.format(number) for number in ("", *range(len(names)))}
    assert opened["a.safetensors"] == {"a.safetensors", "b.safetensors"} | indexes
    for number in range(len(names)):
        assert opened[NUMBERED.format(number)] == {NUMBERED.format(number)}
        assert found[NUMBERED.format(number)]["code"] == 2
    assert opened[NUMBERED.format("")] == {NUMBERED.format(""), "a.safetensors", "b.safetensors"}
    assert found[NUMBERED.format("")]["code"] == 0


LARGE_INDEXES = {
    "strings": lambda: b'{"weight_map": {' + b'"",' * 600_000 + b"}}",
    "names": lambda: json.dumps({"weight_map": {f"{n:0150}": "a.safetensors" for n in range(100_000)}}).encode(),
    "files": lambda: json.dumps({"weight_map": {str(n): f"{n:050}.safetensors" for n in range(100_000)}}).encode(),
    "lists": lambda: json.dumps({"weight_map": {str(n): ["a.safetensors"] for n in range(99_000)}}).encode(),
    "text": lambda: b'{"weight_map": {"a": "' + b"a" * 19_000_000 + b'"}}',
    "escapes": lambda: b'{"weight_map": {"a": "' + rb"\u00e9" * 3_000_000 + b'"}}',
}


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
@pytest.mark.slow
def test_s5_no_index_takes_more_memory_than_there_is(tmp_path):
    """In 200 MB above the imports an index as large as any that is read is answered by what is wrong with it."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, make in LARGE_INDEXES.items():
        (folder / NUMBERED.format(name)).write_bytes(make())
    for name, result in watched(folder, LIMITED).items():
        assert result["code"] == 2, name
        assert result["said"].startswith(("error[index]: ", "error[too-large]: ", "error[shards]: ")), result["said"]
