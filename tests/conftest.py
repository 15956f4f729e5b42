"""Options of the test run, and what many tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import laws

ROOT = Path(__file__).parents[1]
laws.load_profiles()  # before any test module is imported


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lstm-spec")
    group.addoption("--no-skips", action="store_true", help="count every skipped test as a failure")
    group.addoption("--refresh", action="store_true", help="write what is shown anew (README, golden files)")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With --no-skips, a run with skipped tests fails."""
    if skipped_tests(session.config) and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if skipped := skipped_tests(config):
        terminalreporter.write_line(f"--no-skips: {len(skipped)} skipped tests count as failures", red=True)


def skipped_tests(config: pytest.Config) -> list[Any]:
    """The skipped tests that count: none without --no-skips."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("skipped", []) if config.getoption("--no-skips") and reporter else []


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """`command("shapes", "n", "k")` runs lstm-spec in this process."""
    from lstm_spec_cli.app import main

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
