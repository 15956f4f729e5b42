"""`lstm-spec shapes`: every tensor in letters and numbers, readable in 80 columns."""

from __future__ import annotations

import json

import pytest

import lstm_spec as ls


def rows(out: str) -> list[str]:
    """The first column, without its padding."""
    return [line.split("   ")[0].split("  ")[0] for line in out.splitlines() if line]


def test_every_tensor_is_shown_with_both_shapes(command):
    shown = rows(command("shapes", 5, 10, "--batch", 1000, "--time", 10).out)
    gates = [f"{gate} (B, k) = (1000, 10)" for gate in "ifgo"]
    matrices = [
        f"{m}_{gate} (k, {w}) = (10, {size})" for gate in "ifgo" for m, w, size in (("W", "n", 5), ("U", "k", 10))
    ]
    biases = [f"b_{gate} (k,) = (10,)" for gate in "ifgo"]
    joined = [f"[W_{gate} U_{gate}] (k, n + k) = (10, 15)" for gate in "ifgo"]
    states = [f"{state} (B, k) = (1000, 10)" for state in ("h", "c", "h'", "c'")]
    sequences = ["x (T, B, n) = (10, 1000, 5)", "y (T, B, k) = (10, 1000, 10)", "[x, h] (B, n + k) = (1000, 15)"]
    assert set(gates + matrices + biases + joined + states + sequences) == set(shown) - {"tensor", "parameters"}


def test_the_count_is_told_in_letters_and_in_numbers(command):
    last = command("shapes", 5, 10).out.splitlines()[-1]
    assert last == "parameters  4*k*(k + n + 1) = 640"


def test_batch_layout_puts_the_batch_first(command):
    out = command("shapes", 5, 10, "--batch", 1000, "--time", 10, "--layout", "batch").out
    assert "x (B, T, n) = (1000, 10, 5) " in out


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ("n k", ["x (T, B, n)", "W_f (k, n)", "4*k*(k + n + 1)"]),
        ("k n", ["x (T, B, n) = (T, B, k)", "W_f (k, n) = (n, k)", "4*k*(k + n + 1) = 4*n*(k + n + 1)"]),
        ("m m", ["x (T, B, n) = (T, B, m)", "W_f (k, n) = (m, m)", "4*k*(k + n + 1) = 4*m*(2*m + 1)"]),
        ("5 k", ["x (T, B, n) = (T, B, 5)", "W_f (k, n) = (k, 5)", "4*k*(k + n + 1) = 4*k*(k + 6)"]),
        ("5", ["W_f (k, n) = (k, 5)"]),
        ("", ["W_f (k, n)"]),
    ],
)
def test_letters_and_numbers_mix(command, sizes, expected):
    out = command("shapes", *sizes.split()).out
    shown = [*rows(out), out.splitlines()[-1].removeprefix("parameters  ")]
    assert [line for line in expected if line not in shown] == []


def test_a_size_is_also_given_by_its_letter(command):
    assert command("shapes", "--size", "k=10", "--size", "n=5").out == command("shapes", 5, 10).out
    assert command("shapes", 5, "--size", "k=10").out == command("shapes", 5, 10).out


def test_a_projection_brings_its_own_size(command):
    shown = rows(command("shapes", 3, 4, "--projection", 2).out)
    assert {"h (B, r) = (B, 2)", "c (B, k) = (B, 4)", "W_proj (r, k) = (2, 4)", "y (T, B, r) = (T, B, 2)"} <= set(shown)
    lettered = rows(command("shapes", 3, 4, "--projection", "r").out)
    assert "W_proj (r, k) = (r, 4)" in lettered


def test_a_stack_in_both_directions(command):
    shown = rows(command("shapes", 5, 10, "--layers", 2, "--bidirectional", "--output", "last").out)
    assert {"y (B, 2k) = (B, 20)", "l0.W_f (k, n) = (10, 5)", "l1.reverse.W_f (k, 2k) = (10, 20)"} <= set(shown)


@pytest.mark.parametrize("options", [(), ("--layers", 3, "--bidirectional"), ("--projection", 123456)])
def test_lines_fit_80_columns_and_end_without_blanks(command, options):
    lines = command("shapes", 123456, 123456, "--batch", 1000, "--time", 1000, *options).out.splitlines()
    assert [line for line in lines if len(line) > 80 or line != line.rstrip()] == []


def test_json_is_exactly_the_value(command):
    out = command("shapes", 5, "m", "--batch", 2, "--json").out
    assert out == json.dumps(ls.lstm(5, "m").shapes(batch=2).to_dict()) + "\n"


def test_axes_may_be_empty(command):
    assert "x (T, B, n) = (0, 0, n)" in command("shapes", "--batch", 0, "--time", 0).out


def test_a_cell_of_ones_own(command, tmp_path):
    path = tmp_path / "elman.cell"
    path.write_text("input x[n]\nstate h[k]\nh' = tanh(W x + U h + b)\n")
    outcome = command("shapes", 5, 10, "--cell", path)
    assert "W (k, n) = (10, 5)" in outcome.out
    assert outcome.out.endswith("parameters  k*(k + n + 1) = 160\n")


def test_a_cell_file_may_start_with_a_byte_order_mark(command, tmp_path):
    path = tmp_path / "elman.cell"
    path.write_text("input x[n]\r\nstate h[k]\r\nh' = tanh(W x + U h + b)\r\n", encoding="utf-8-sig")
    assert command("shapes", "--cell", path).code == 0
