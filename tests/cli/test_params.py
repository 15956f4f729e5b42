"""`lstm-spec params`: counts by tensor, in all, and under each convention for biases."""

from __future__ import annotations

import pytest

import lstm_spec as ls


def cells(out: str) -> list[list[str]]:
    """Every row, cut at its columns."""
    return [[cell.strip() for cell in line.split("  ") if cell] for line in out.splitlines() if line]


def test_every_parameter_the_total_and_the_conventions(command):
    shown = cells(command("params", 3, 4).out)
    assert shown[0] == ["parameter", "formula", "count"]
    assert shown[1:13] == [
        [f"{name}_{gate}", formula, count]
        for gate in "ifgo"
        for name, formula, count in (("W", "k*n", "12"), ("U", "k**2", "16"), ("b", "k", "4"))
    ]
    assert shown[13:] == [
        ["total", "4*k*(k + n + 1)", "128"],
        ["convention", "formula", "count"],
        ["one bias a gate", "4*k*(k + n + 1)", "128"],
        ["two biases a gate", "4*k*(k + n + 2)", "144"],
        ["no bias", "4*k*(k + n)", "112"],
    ]


def test_letters_are_not_said_twice(command):
    shown = cells(command("params").out)
    assert {len(row) for row in shown} == {2}
    assert ["total", "4*k*(k + n + 1)"] in shown


@pytest.mark.parametrize(
    "options", [{}, {"peephole": True}, {"layers": 2, "bidirectional": True}, {"coupled": "f=1-i"}, {"projection": 2}]
)
def test_rows_add_up_to_the_total_and_to_each_convention(command, options):
    flags = [part for k, v in options.items() for part in ([f"--{k}"] if v is True else [f"--{k}", v])]
    shown = cells(command("params", 5, 10, *flags).out)
    total = next(row for row in shown if row[0] == "total")
    named = [row for row in shown[1:] if len(row) == 3 and row[0] not in ("total", "convention")]
    parameters, conventions = named[:-3], named[-3:]
    assert sum(int(row[2]) for row in parameters) == int(total[2])
    expected = [ls.lstm(5, 10, bias=bias, **options).parameter_count for bias in ("one", "two", "none")]
    assert [int(row[2]) for row in conventions] == expected


def test_a_cell_of_ones_own_has_no_conventions(command, tmp_path):
    path = tmp_path / "my.cell"
    path.write_text("input x[n]\nstate h[k]\nh' = tanh(W x + U h + b)\n")
    assert "convention" not in command("params", 3, 4, "--cell", path).out
