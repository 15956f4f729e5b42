"""The command as a process: streams, pipes, colours, exit codes, and what happens when we are wrong."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lstm_spec as ls

BY_NAME = (str(Path(sys.executable).with_name("lstm-spec")),)
AS_MODULE = (sys.executable, "-m", "lstm_spec")


def start(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*AS_MODULE, *arguments], capture_output=True, encoding="utf-8", **options)


@pytest.mark.parametrize("entry", [BY_NAME, AS_MODULE])
def test_both_entries_are_the_same_command(entry, tmp_path):
    done = subprocess.run([*entry, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"lstm-spec {ls.__version__}\n", "")


@pytest.mark.parametrize("name", ["shapes", "equations", "params", "code", "cells", "run", "check"])
def test_every_command_has_help(command, name):
    outcome = command(name, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Usage: lstm-spec {name} ")
    assert command(name, "-h").out == outcome.out


def test_no_command_is_a_question_for_help(command):
    assert command() == command("--help")
    assert command().code == 0


def test_a_wrong_question_leaves_stdout_empty_and_exits_with_2():
    done = start("shapes", "-1", "4")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error[size]: n = -1 is too small\n")


def test_an_ascii_terminal_is_no_reason_to_fail():
    done = start("shapes", "0", "4", env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 2
    assert r"a whole number \u2265 1" in done.stderr


def test_a_closed_pipe_is_quiet():
    process = subprocess.Popen([*AS_MODULE, "shapes", "--layers", "40"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told():
    with open("/dev/full", "w") as full:
        done = subprocess.run([*AS_MODULE, "equations"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "error[output]: the answer cannot be written\n  because  No space left on device\n",
    )


def test_ctrl_c_is_130_and_quiet():
    waits = "import sys, time, lstm_spec_cli.app as a\n"
    waits += "a.show = lambda answer: (print('here', flush=True), time.sleep(60))\nsys.exit(a.main(['equations']))"
    process = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


def test_a_fault_of_ours_is_told_harmlessly_and_exits_with_101(command, monkeypatch):
    def fails(*_: object) -> None:
        raise RuntimeError("it broke\x1b[31m")

    monkeypatch.setattr("lstm_spec_cli.app.show", fails)
    outcome = command("equations", "--format", "text")
    lines = outcome.err.splitlines()
    assert lines[0] == r"internal error: RuntimeError: it broke\x1b[31m"
    assert lines[-1] == "  command  lstm-spec equations --format text"
    assert f"lstm-spec {ls.__version__}, Python {sys.version.split()[0]}" in outcome.err
    assert (outcome.code, outcome.out, "Traceback" in outcome.err) == (101, "", False)
    traced = command("--traceback", "equations")
    assert (traced.code, "Traceback (most recent call last)" in traced.err) == (101, True)


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What a colour terminal is sent."""
    ours, theirs = pty.openpty()
    variables = os.environ | {"TERM": "xterm-256color"} | environment
    with subprocess.Popen([*AS_MODULE, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=variables):
        os.close(theirs)
        chunks = []
        with contextlib.suppress(OSError):  # the end of a terminal on Linux
            while chunk := os.read(ours, 65536):
                chunks.append(chunk)
    os.close(ours)
    return b"".join(chunks).decode().replace("\r", "")


def test_a_terminal_gets_colours_and_folded_tables():
    shown = on_a_terminal("shapes", "5", "10", COLUMNS="40")
    lines = shown.splitlines()
    assert "\x1b[1mtensor" in shown
    assert [line for line in lines if len(line) > 40 and "\x1b" not in line] == []
    assert "\x1b[1;31merror[size]" in on_a_terminal("shapes", "0")


def test_no_color_is_respected():
    assert "\x1b[1;31m" not in on_a_terminal("shapes", "0", NO_COLOR="1")


def test_what_a_terminal_reads_is_what_a_pipe_reads():
    shown = on_a_terminal("params", "3", "4", COLUMNS="100", NO_COLOR="1", TERM="dumb")
    assert shown.split() == start("params", "3", "4").stdout.split()


def test_a_closed_output_is_no_fault_of_ours() -> None:
    """`lstm-spec shapes n k >&-`: there is nowhere to answer."""
    closed = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m lstm_spec shapes n k >&-"], capture_output=True, text=True
    )
    assert closed.returncode == 2
    assert closed.stderr == ("error[output]: the answer cannot be written\n  because  standard output is closed\n")
