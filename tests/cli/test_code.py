"""`lstm-spec code`: the emitted source, or the program it was written from."""

from __future__ import annotations

import lstm_spec as ls


def test_the_source_is_what_compile_would_run(command):
    compiled = ls.compile(ls.lstm(5, 10))
    assert command("code", 5, 10).out.rstrip("\n") == compiled.source.rstrip("\n")


def test_the_program_is_its_listing(command):
    compiled = ls.compile(ls.lstm(layers=2, bidirectional=True))
    out = command("code", "--layers", 2, "--bidirectional", "--stage", "program").out
    assert out.rstrip("\n") == str(compiled.program).rstrip("\n")


def test_the_source_stands_on_its_own(command, tmp_path):
    import subprocess
    import sys

    path = tmp_path / "layer.py"
    path.write_text(command("code", 5, 10).out)
    subprocess.run([sys.executable, "-I", "-W", "error", path], check=True, cwd=tmp_path)
