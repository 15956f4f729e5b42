"""`lstm-spec network`: the task forms around any layer."""

from __future__ import annotations

import json

import lstm_spec as ls


def test_the_table_is_the_networks(command):
    out = command("network", "many-to-one", "n", "k").out
    assert out == (
        "member  module      takes      gives      parameters\n"
        "\n"
        "x       input                  (T, B, n)\n"
        "layer   lstm, last  (T, B, n)  (B, k)     4*k*(k + n + 1)\n"
        "head    dense       (B, k)     (B, m)     m*(k + 1)\n"
        "\n"
        "parameters  4*k**2 + k*m + 4*k*n + 4*k + m\n"
    )


def test_every_option_of_a_layer_counts(command):
    arguments = (
        "encoder-decoder",
        5,
        10,
        "--cell",
        "gru",
        "--layout",
        "batch",
        "--units",
        3,
        "--activation",
        "softmax",
    )
    out = command("network", *arguments, "--steps", 4, "--batch", 2, "--time", 7).out
    assert [line.split("  ")[0] for line in out.splitlines() if "(2, 4, 3)" in line] == ["target", "decoder", "head"]
    assert out.endswith("parameters  933\n")


def test_json_is_exactly_the_value(command):
    out = command("network", "one-to-many", 5, "k", "--time", 7, "--json").out
    assert json.loads(out) == ls.build_form("one-to-many", ls.lstm(5)).shapes(time=7).to_dict()


def test_a_form_that_does_not_exist(command):
    outcome = command("network", "many", 5, 10)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error[option]: form='many' is unknown\n"
        "  expected one-to-one, one-to-many, many-to-one, many-to-many, encoder-decoder\n"
    )


def test_the_output_is_the_forms(command):
    assert command("network", "many-to-one", "--output", "sequence").code == 2
