"""The promises of SECURITY.md, each held over every format that is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints.opening import BY_SUFFIX, FORMATS
from tests.checkpoints import every_format
from tests.checkpoints.every_format import EVIL, GOOD, HUGE_ONES, NAMED, UNREAD, npy, onnx
from tests.checkpoints.torch.pickled import archive, call, stream, text

ROOT = Path(__file__).parents[2]
READ = {name for name, known in FORMATS.items() if known.read is not None}

# Checks each file of a directory: once to load what is imported when it is needed, then watched. Not through the
# command, whose parser compiles its own annotations.
WATCHED = """
import json, os, sys, time
from pathlib import Path
import lstm_spec as ls
FORBIDDEN = {"exec", "compile", "import", "subprocess", "socket", "os", "shutil", "pickle", "marshal", "ctypes"}
LOOKS = {"os.listdir", "os.scandir"}  # whether the path is a directory or a pattern
def check(path):
    try:
        report = ls.check(str(path), numbers=False)
    except ls.LstmSpecError as error:
        return 2, str(error)
    return 0 if report.ok else 1, str(report)
paths = sorted(Path(sys.argv[1]).iterdir())
for path in paths:
    check(path)
events = []
def hook(event, arguments):
    if event == "open" and not isinstance(arguments[0], int):
        events.append(["open", str(arguments[0]), arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)])
    elif event.split(".")[0] in FORBIDDEN and event not in LOOKS:
        events.append([event, str(arguments[:1]), 0])
sys.addaudithook(hook)
found = {}
for path in paths:
    events.clear()
    start = time.process_time()
    code, said = check(path)
    found[path.name] = {"code": code, "said": said, "events": list(events), "time": time.process_time() - start}
print(json.dumps(found))
"""


def watched(folder: Path, before: str = "") -> dict[str, dict]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", before + WATCHED, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def put(folder: Path, makers: dict, end: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    for suffix, make in makers.items():
        (folder / f"m{end}.{suffix}").write_bytes(make())
    return folder


def test_every_format_has_its_samples():
    assert {BY_SUFFIX[f".{suffix}"] for suffix in HUGE_ONES} == READ
    for samples in (GOOD, UNREAD, NAMED):  # an npy holds one array without a name: never a layer
        assert {BY_SUFFIX[f".{suffix}"] for suffix in samples} == READ - {"npy"}


CODE = stream(call("os.system", text("touch canary")))
HOSTILE = {
    "reduce.pt": lambda: archive(CODE),
    "plain.pt": lambda: CODE,
    "config.keras": lambda: every_format.keras("os.system"),
    "lambda.keras": lambda: every_format.keras("Lambda"),
    "objects.npz": lambda: every_format.npz({"rnn.weight_ih_l0": np.array([every_format.Vector("a", 1)], object)}),
}


def test_s1_s2_s3_s4_nothing_runs_is_written_or_opened(tmp_path):
    """Every format, good and hostile: the file is opened for reading, and that is all that happens."""
    folder = put(tmp_path / "files", GOOD)
    put(folder, UNREAD, "-unread")
    for name, make in HOSTILE.items():
        (folder / name).write_bytes(make())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    found = watched(folder)
    assert set(found) == set(before)
    for name, result in found.items():
        assert [event for event in result["events"] if event != ["open", str(folder / name), 0]] == [], name
        assert result["events"], name
        assert name not in {f"m.{suffix}" for suffix in GOOD} or result["code"] == 0
        assert not name.endswith((".pt", ".npz")) or name not in HOSTILE or result["code"] == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert os.listdir(tmp_path) == ["files"]


def test_s3_no_second_file_but_an_onnx_models_own_data(tmp_path):
    """External data is opened inside the model's own directory; whatever leads out is refused unopened."""
    (tmp_path / "secret").write_bytes(bytes(1 << 12))
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "inside.bin").write_bytes(bytes(4 * 8 * 3))
    (folder / "link.bin").symlink_to(tmp_path / "secret")
    locations = {"inside": "inside.bin", "up": "../secret", "root": str(tmp_path / "secret"), "link": "link.bin"}
    for name, location in locations.items():
        (folder / f"{name}.onnx").write_bytes(onnx(location=location))
    with h5py.File(folder / "external.h5", "w") as file:
        file["lstm"] = h5py.ExternalLink(str(tmp_path / "secret"), "/")
    found = watched(folder)
    opened = {event[1] for result in found.values() for event in result["events"] if event[0] == "open"}
    assert opened == {str(folder / name) for name in found}  # shapes need no byte of the external data
    codes = {name: result["code"] for name, result in found.items()}
    assert codes == {
        "inside.onnx": 0,
        "inside.bin": 2,
        "up.onnx": 2,
        "root.onnx": 2,
        "link.onnx": 2,
        "link.bin": 2,
        "external.h5": 2,
    }


LIMITED = """
import resource
import h5py, numpy, onnx, onnx.numpy_helper, sympy
import lstm_spec.conformance.verdict.checking, lstm_spec.checkpoints.opening
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) for line in status if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, ((used << 10) + 200_000_000,) * 2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_s5_no_file_takes_more_memory_than_it_has(tmp_path):
    """In 200 MB above the imports each claim of a terabyte, and each bomb, is answered in less than five seconds."""
    folder = put(tmp_path / "files", HUGE_ONES)
    for name, result in watched(folder, LIMITED).items():
        assert result["code"] in (1, 2), name
        assert result["time"] < 5, name
        assert "memory" not in result["said"] or name == "m.keras", result["said"]


@pytest.mark.parametrize("suffix", [*GOOD, "npy"])
def test_s6_every_end_has_a_code_and_a_reason(command, tmp_path, suffix):
    """Truncated at twenty places, and none of it a traceback."""
    data = GOOD[suffix]() if suffix in GOOD else npy(np.zeros((2, 3)))
    path = tmp_path / f"m.{suffix}"
    for end in range(0, len(data), max(1, len(data) // 20)):
        path.write_bytes(data[:end])
        outcome = command("check", path, "--no-numbers")
        assert outcome.code in (0, 1, 2), outcome.err
        assert outcome.code != 2 or outcome.err.startswith("error["), outcome.err
        assert outcome.code != 1 or "error[" in outcome.out
        assert "Traceback" not in outcome.out + outcome.err


STEERS = {*range(9), *range(0x0B, 0x20), 0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


@pytest.mark.parametrize("suffix", NAMED)
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_s7_no_control_byte_of_a_file_is_shown(command, tmp_path, suffix, options):
    path = tmp_path / f"m.{suffix}"
    path.write_bytes(NAMED[suffix]())
    for verb in ("check", "spec"):
        outcome = command(verb, path, *options) if verb == "check" else command(verb, path)
        shown = outcome.out + outcome.err
        assert not {ord(ch) for ch in shown} & STEERS
        assert "evil" in shown
    assert any(ord(ch) in STEERS for ch in EVIL)


@pytest.mark.parametrize("suffix", UNREAD)
def test_s8_nothing_recurrent_passes_in_silence(command, tmp_path, suffix):
    """A GRU or another recurrent part in each format: exit 1, and the finding says so; beside an LSTM as well."""
    path = tmp_path / f"m.{suffix}"
    path.write_bytes(UNREAD[suffix]())
    outcome = command("check", path, "--no-numbers")
    assert (outcome.code, outcome.err) == (1, "")
    assert "error[unread]: " in outcome.out
    assert outcome.out.splitlines()[-1].startswith("does not conform: ")


def test_s8_an_lstm_beside_a_gru_does_not_hide_it(command, tmp_path):
    both = every_format.torch_arrays() | every_format.torch_arrays(3, "other.")
    (tmp_path / "m.npz").write_bytes(every_format.npz(both))
    outcome = command("check", tmp_path / "m.npz", "--no-numbers")
    assert outcome.code == 1
    assert "error[unread]: other is a GRU, " in outcome.out


@pytest.mark.parametrize("kind", ["MyLSTM", "os.system"])
def test_s8_a_class_of_somebodys_own_is_told(tmp_path, kind):
    """Its tensors are those of an LSTM; what it computes is not in the file."""
    (tmp_path / "m.keras").write_bytes(every_format.keras(kind))
    (finding,) = ls.check(tmp_path / "m.keras", numbers=False).findings
    assert str(finding) == (
        "warning[unmatched]: layers/lstm/cell has a cell's tensors, and the configuration has no recurrent layer of"
        " Keras for it\n"
        f"  at       {tmp_path / 'm.keras'}\n"
        "  because  a class of somebody's own is code that the file does not hold: it may compute something else"
    )


def test_s8_an_array_without_a_name_is_never_a_pass(command, tmp_path):
    (tmp_path / "m.npy").write_bytes(npy(np.zeros((8, 5), "f4")))
    outcome = command("check", tmp_path / "m.npy")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error[no-lstm]: there is no LSTM here\n")


def test_s8_one_bad_file_of_a_directory_fails_it(command, tmp_path):
    folder = put(tmp_path / "files", GOOD)
    assert command("check", folder, "--no-numbers").code == 0
    (folder / "cut.npz").write_bytes(GOOD["npz"]()[:100])
    outcome = command("check", folder, "--no-numbers")
    assert outcome.code == 1
    assert f"{folder / 'cut.npz'}" in outcome.out


@pytest.mark.parametrize("content", GOOD)
def test_s9_the_content_must_be_what_the_suffix_says(command, tmp_path, content):
    """Every format under every other's suffix; ONNX and MessagePack have no mark of their own, and never pass."""
    data = GOOD[content]()
    for suffix in {*GOOD, "npy"} - {content}:
        path = tmp_path / f"m.{suffix}"
        path.write_bytes(data)
        outcome = command("check", path, "--no-numbers")
        assert (outcome.code, outcome.out) == (2, ""), (content, suffix)
        if content not in ("onnx", "msgpack"):
            assert outcome.err.startswith("error[mismatch]: "), (content, suffix, outcome.err)


def test_the_page_names_tests_that_there_are():
    """Every promise S1 to S9 has tests, and each of them is found where the page says."""
    page = (ROOT / "SECURITY.md").read_text()
    promises = [line for line in page.splitlines() if line.startswith("| S")]
    assert [line.split("|")[1].strip() for line in promises] == [f"S{number}" for number in range(1, 10)]
    for line in promises:
        named = [word for word in line.split("`")[1::2] if "::" in word]
        assert named, line
        for one in named:
            file, _, test = one.partition("::")
            assert f"def {test}(" in (ROOT / "tests" / file).read_text(), one


def test_a_url_is_read_only_where_it_is_the_argument(tmp_path):
    """An address inside a file is data."""
    arrays = every_format.torch_arrays(prefix="https://example.invalid/.")
    assert ls.check(arrays, numbers=False).ok
    (result,) = watched(put(tmp_path / "files", {"onnx": lambda: onnx(location="https://example.invalid/w")})).values()
    assert [event for event in result["events"] if event[0] != "open"] == []
    assert result["code"] == 2
