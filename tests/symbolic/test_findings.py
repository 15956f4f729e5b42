"""Errors and findings: one value, shown in one way, harmless on a terminal."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_spec import errors
from lstm_spec.errors import CellError, Finding, LstmSpecError, MissingPackageError, safe
from tests.strategies import law

FULL = Finding("code", "what", "here\n  quoted\n     ^^^", "this", "that", "a;\nb", "do", "warning")


def test_every_part_has_its_place() -> None:
    assert str(FULL) == (
        "warning[code]: what\n"
        "  at       here\n"
        "             quoted\n"
        "                ^^^\n"
        "  expected this\n"
        "  found    that\n"
        "  because  a;\n"
        "           b\n"
        "  help     do"
    )
    assert str(Finding("code", "what")) == "error[code]: what"


def test_to_dict_leaves_out_what_is_empty() -> None:
    assert Finding("code", "what", found="that").to_dict() == {
        "code": "code",
        "message": "what",
        "found": "that",
        "severity": "error",
    }


@law
@given(st.text())
def test_nothing_of_a_stranger_steers_the_terminal(text: str) -> None:
    shown = str(Finding("code", text, at=text, found=text, help=text))
    assert all(line.isprintable() for line in shown.split("\n"))
    assert safe(text).isprintable()
    assert len(safe(text)) <= errors.SAFE_LENGTH


def test_safe_keeps_words_and_marks_what_it_cut() -> None:
    assert safe("W_f ∈ ℝ, 日本") == "W_f ∈ ℝ, 日本"
    assert safe("a" * 300, 5) == "aaaa…"
    assert safe("\u2028\U000e0001\ud800\x9b") == r"\u2028\U000e0001\ud800\x9b"


@pytest.mark.parametrize(
    "error", [CellError(FULL), MissingPackageError("onnx", "onnx", "reading an ONNX file")], ids=["cell", "missing"]
)
def test_errors_cross_processes(error: LstmSpecError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_a_missing_package_says_what_to_install() -> None:
    assert str(MissingPackageError("onnx", "onnx", "reading an ONNX file")) == (
        "error[missing-package]: reading an ONNX file needs the package onnx, which is not installed\n"
        '  help     pip install "lstm-spec[onnx]"'
    )


def test_the_tree_is_as_drawn() -> None:
    drawn = (errors.__doc__ or "").split("\n\n")[1]
    for name in ("CellError", "SizeError", "OptionError", "TensorError", "FileError", "MissingPackageError"):
        assert name in drawn
        assert issubclass(getattr(errors, name), LstmSpecError)
    assert issubclass(LstmSpecError, ValueError)
    assert not issubclass(errors.InternalError, LstmSpecError)
