"""`lstm-spec gradients`, and `lstm-spec code --gradient`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lstm_spec as ls
from lstm_spec.symbolic.gradient import derive_backward
from lstm_spec_cli.app import main

Captured = pytest.CaptureFixture[str]


def test_it_prints_the_backward_cell(capsys: Captured) -> None:
    assert main(["gradients", "--peephole"]) == 0
    printed = capsys.readouterr().out.rstrip("\n")
    assert printed == str(ls.differentiate(ls.lstm(peephole=True).cell))
    assert ls.parse(printed) == ls.differentiate(ls.lstm(peephole=True).cell)


def test_over_time_has_the_sums(capsys: Captured) -> None:
    assert main(["gradients", "--cell", "elman", "--over-time"]) == 0
    assert capsys.readouterr().out.splitlines()[-7:] == [
        "  e_h[t]   = d_h[t] + d_y[t]",
        "  d_h1[t]  = e_h[t] * (1 - h[t] * h[t])",
        "  d_x[t]   = W^T d_h1[t]",
        "  d_h[t-1] = U^T d_h1[t]",
        "d_W = sum_t d_h1[t] x[t]^T",
        "d_U = sum_t d_h1[t] h[t-1]^T",
        "d_b = sum_t d_h1[t]",
    ]


def test_latex(capsys: Captured) -> None:
    assert main(["gradients", "--format", "latex", "--over-time"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert r"\frac{\partial L}{\partial W_{f}} &= \sum_{t=1}^{T} \delta f_{t}\, {x_{t}}^{\top} \\" in lines
    assert r"\delta f_{t} &= \bar{c}_{t} \odot c_{t-1} \odot f_{t} \odot \left(1 - f_{t}\right) \\" in lines
    assert r"\overleftarrow{c}_{t-1} &= \bar{c}_{t} \odot f_{t} \\" in lines


def test_json_is_to_dict(capsys: Captured) -> None:
    assert main(["gradients", "--cell", "gru", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == derive_backward(ls.cells.get("gru")).to_dict()


def test_an_unknown_format_is_refused(capsys: Captured) -> None:
    assert main(["gradients", "--format", "html"]) == 2
    assert capsys.readouterr().err == "error[option]: format='html' is unknown\n  expected text, latex\n"


def test_code_with_its_gradient(capsys: Captured) -> None:
    assert main(["code", "3", "2", "--gradient"]) == 0
    assert capsys.readouterr().out.rstrip("\n") + "\n" == ls.compile(ls.lstm(3, 2), gradient=True).source
    assert main(["code", "3", "2", "--gradient", "--stage", "program"]) == 0
    assert "step l0.backward, from the last: l0.d_h -> l0.d_h', l0.d_c -> l0.d_c'" in capsys.readouterr().out


def test_the_cost_of_a_backward_step(capsys: Captured) -> None:
    """The outer products of the weights' gradients, and the way back through W and U: twice the forward products."""
    assert main(["gradients", "--cost"]) == 0
    assert capsys.readouterr().out.startswith(
        "one step     forward             backward\n\n"
        "macs         4*k*(k + n)         8*k*(k + n)\n"
        "bias         4*k                 0\n"
        "sums         5*k                 14*k + 3*n\n"
        "products     3*k                 16*k\n"
        "activations  5*k                 k\n"
        "flops        k*(8*k + 8*n + 17)  16*k**2 + 16*k*n + 31*k + 3*n\n\n"
    )
    assert main(["gradients", "--cost", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["operations"]["macs"] == "8*k**2 + 8*k*n"


def test_a_cost_is_no_equation(capsys: Captured) -> None:
    assert main(["gradients", "--cost", "--over-time"]) == 2
    assert capsys.readouterr().err == (
        "error[options]: --cost counts, and writes no equations\n  help     leave out --over-time and --format\n"
    )


def test_the_cost_of_a_backward_cell_is_asked_for_by_its_cell(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("back.cell").write_text(str(ls.differentiate(ls.cells.get("elman"))))
    assert main(["cost", "--cell", "back.cell"]) == 2
    assert capsys.readouterr().err == (
        "error[inputs]: a layer feeds its cell one input sequence\n"
        "  found    x, h, h', d_y\n"
        "  help     a backward cell is no layer; lstm-spec gradients --cost counts it by its forward cell\n"
    )


@pytest.mark.parametrize("more", [["--over-time"], ["--format", "latex"]])
def test_json_is_one_step_as_text(command, more):
    outcome = command("gradients", "--json", *more)
    assert (outcome.code, outcome.out, outcome.err) == (
        2,
        "",
        "error[options]: --json has the equations of one step as text\n  help     leave out --over-time and --format\n",
    )
