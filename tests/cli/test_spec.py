"""`lstm-spec spec`, and `check --spec`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conformance.sets import torch_names


@pytest.fixture
def files(tmp_path):
    np.savez(tmp_path / "good.npz", **torch_names("enc."))
    np.savez(tmp_path / "wide.npz", **torch_names("enc.", n=5))
    return tmp_path


def test_a_contract_is_written_and_held(command, files):
    written = command("spec", files / "good.npz")
    assert (written.code, written.err) == (0, "")
    (files / "s.toml").write_text(written.out)
    assert command("check", files / "good.npz", "--spec", files / "s.toml", "--no-numbers").code == 0
    outcome = command("check", files / "wide.npz", "--spec", files / "s.toml", "--no-numbers")
    assert outcome.code == 1
    assert outcome.out.endswith(
        "error[spec]: n is another than in the contract\n"
        f"  at       {files}/wide.npz : enc\n"
        "  expected 3\n"
        "  found    5\n"
        f"  help     if this is meant, change or delete what {files}/s.toml:8 says of it\n"
        "does not conform: 1 LSTM layer, 1 error\n"
    )


def test_a_file_that_does_not_conform_gives_no_contract(command, files):
    np.savez(files / "bad.npz", **torch_names("enc.") | {"enc.bias_hh_l0": np.zeros(15, "float32")})
    outcome = command("spec", files / "bad.npz")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.endswith("does not conform: 1 LSTM layer, 1 error\n")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.toml", None, "error[missing]: there is no such file\n  at       {}\n"),
        (
            "empty.toml",
            b"",
            "error[empty]: the file is empty\n  at       {}\n  expected what lstm-spec spec FILE prints\n",
        ),
        (
            "bytes.toml",
            b"\xff",
            "error[not-text]: the file is not UTF-8 text\n  at       {}\n"
            "  expected a contract as TOML\n  found    the byte 0xff at 0\n",
        ),
    ],
)
def test_a_contract_that_cannot_be_read(command, files, name, content, message):
    if content is not None:
        (files / name).write_bytes(content)
    outcome = command("check", files / "good.npz", "--spec", files / name)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message.format(files / name))


def test_a_contract_that_is_none_names_the_file(command, files):
    (files / "s.toml").write_text("layers = 2\n")
    outcome = command("check", files / "good.npz", "--spec", files / "s.toml")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        f"error[spec]: this is no contract\n  at       {files}/s.toml\n"
        "  expected [[layer]] tables, at least one, and [[unread]] tables\n  found    layers\n"
        "  help     lstm-spec spec FILE writes a contract\n"
    )


def test_a_gru_beside_is_accepted_and_told(command, files):
    """No contract was to be had of such a file."""
    gru = {f"gru.{name}": np.zeros((12, *a.shape[1:]), "float32") for name, a in torch_names().items()}
    np.savez(files / "mixed.npz", **torch_names("enc."), **gru)
    assert command("check", files / "mixed.npz", "--no-numbers").code == 1
    written = command("spec", files / "mixed.npz")
    message = "gru is a GRU, by the rows of its recurrent matrix; this version reads LSTMs"
    assert (written.code, written.err) == (0, f"not read: {message}\n")
    (files / "s.toml").write_text(written.out)
    outcome = command("check", files / "mixed.npz", "--spec", files / "s.toml", "--no-numbers")
    assert outcome.code == 0
    assert f"note[unread]: {message}\n" in outcome.out
    assert command("check", files / "good.npz", "--spec", files / "s.toml", "--no-numbers").code == 1


def test_what_powershell_writes_is_read(command, files):
    """`>` writes UTF-16 there, and ends its lines as Windows does."""
    written = command("spec", files / "good.npz").out.replace("\n", "\r\n")
    for name, encoding in (("le", "utf-16"), ("be", "utf-16-be"), ("utf8", "utf-8-sig")):
        (files / f"{name}.toml").write_bytes(b"\xfe\xff" * (name == "be") + written.encode(encoding))
        outcome = command("check", files / "good.npz", "--spec", files / f"{name}.toml", "--no-numbers")
        assert (outcome.code, outcome.err) == (0, ""), name
    (files / "odd.toml").write_bytes(written.encode("utf-16") + b"x")
    outcome = command("check", files / "good.npz", "--spec", files / "odd.toml")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error[not-text]: the file is not UTF-8 text\n")


def test_a_checkpoint_is_no_contract(command, files):
    outcome = command("check", files / "good.npz", "--spec", files / "good.npz")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines()[:3] == [
        "error[not-text]: the file is not UTF-8 text",
        f"  at       {files}/good.npz",
        "  expected a contract as TOML",
    ]
    outcome = command("check", files / "good.npz", "--spec", files)
    assert (outcome.code, outcome.err.splitlines()[0]) == (2, "error[not-a-file]: this is not a regular file")


def test_an_equation_that_cannot_be_read_is_a_wrong_question(command, files):
    """It was 1, as if the file did not conform."""
    (files / "s.toml").write_text(command("spec", files / "good.npz").out.replace("c' = ", "c' = h' * "))
    outcome = command("check", files / "good.npz", "--spec", files / "s.toml", "--no-numbers")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines()[:2] == [
        "error[cycle]: these read each other in a circle: c' → h' → c'",
        f"  at       {files}/s.toml:17   c' = h' * f * c + i * g",
    ]
