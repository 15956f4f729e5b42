"""`lstm-spec gradients`, and `lstm-spec code --gradient`."""

from __future__ import annotations

import json

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
