"""Every command and line of Python that the README shows is run, in order, in one folder, and prints what is shown.

`python -m pytest tests/test_readme.py --refresh` writes what the commands print now. The two install lines, which
stand in `sh` blocks, are run by `.ci/run`.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from lstm_spec import __version__
from lstm_spec_cli.app import main

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = README.with_name("examples")
BLOCK = re.compile(r"```(console|pycon|python)\n(.*?)```", re.DOTALL)
SHOWN = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


SHELL = frozenset("|&;<>()$`\\*?[]#~={}!")  # a line without any of these is a command and its words


class Replay:
    """The README's commands and lines, run one after the other; each in a shell, or ours in this process."""

    def __init__(self, folder: Path, in_a_shell: bool = True) -> None:
        self.folder, self.in_a_shell = folder, in_a_shell
        self.names: dict[str, object] = {}
        self.code = 0

    def block(self, match: re.Match[str]) -> str:
        """A block as it should read."""
        language, text = match.groups()
        if language == "console":
            text = SHOWN.sub(self.command, text)
        else:
            self.python(text)
        return f"```{language}\n{text}```"

    def command(self, match: re.Match[str]) -> str:
        """A command and what it prints; `$?` is the exit code of the one before."""
        if match[1].startswith("lstm-spec ") and not self.in_a_shell and SHELL.isdisjoint(match[1]):
            with io.StringIO() as out, redirect_stdout(out), redirect_stderr(out):
                self.code = main(shlex.split(match[1])[1:])
                return f"$ {match[1]}\n{out.getvalue()}"
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-c", f"(exit {self.code}); {match[1]}"],
            cwd=self.folder,
            env=os.environ | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self.code = done.returncode
        return f"$ {match[1]}\n{done.stdout}"

    def python(self, text: str) -> None:
        """Run a block; where it shows a prompt, compare what it prints."""
        if ">>>" not in text:
            exec(compile(text, "README.md", "exec"), self.names)
            return
        test = doctest.DocTestParser().get_doctest(text, self.names, "README", str(README), 0)
        report: list[str] = []
        results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append, clear_globs=False)
        self.names.update(test.globs)
        assert results.failed == 0, "".join(report)


@pytest.mark.parametrize("in_a_shell", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_shown_command_prints_what_is_shown(
    in_a_shell: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = README.read_text(encoding="utf-8")
    real = BLOCK.sub(Replay(tmp_path, in_a_shell).block, shown)
    if request.config.getoption("--refresh"):
        README.write_text(real, encoding="utf-8")
    else:
        assert real == shown


def test_a_wrong_line_is_seen(tmp_path: Path) -> None:
    text = "```console\n$ echo one; false\ntwo\n$ echo $?\n0\n```"
    assert BLOCK.sub(Replay(tmp_path).block, text) == "```console\n$ echo one; false\none\n$ echo $?\n1\n```"
    with pytest.raises(AssertionError, match="Expected:"):
        BLOCK.sub(Replay(tmp_path).block, "```pycon\n>>> 1 + 1\n3\n```")


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-W", "error", example], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)


def test_the_changelog_knows_this_version() -> None:
    assert f"## {__version__}" in README.with_name("CHANGELOG.md").read_text(encoding="utf-8")
