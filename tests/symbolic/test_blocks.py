"""The Jacobian of a step, derived: its text, what carries a state to itself, and what has none."""

from __future__ import annotations

import pytest

import lstm_spec as ls
from lstm_spec import cells
from lstm_spec.errors import CellError
from lstm_spec.symbolic.blocks import derive_jacobian
from lstm_spec.symbolic.language import parse

PLAIN = """\
dc'/dh = diag(c * f * (1 - f)) U_f + diag(g * i * (1 - i)) U_i + diag(i * (1 - g * g)) U_g
dc'/dc = diag(f)
dh'/dh = diag(tanh(c') * o * (1 - o)) U_o + diag(o * (1 - tanh(c') * tanh(c'))) dc'/dh
dh'/dc = diag(o * (1 - tanh(c') * tanh(c')) * f)"""


def test_the_lstm_reads_as_in_a_textbook() -> None:
    assert str(derive_jacobian(ls.lstm().cell)) == PLAIN
    assert str(ls.derive_jacobian(ls.lstm(peephole=True).cell)).splitlines()[1] == (
        "dc'/dc = diag(f + c * f * (1 - f) * p_f + g * i * (1 - i) * p_i)"
    )


def test_like_terms_are_one_and_what_keeps_comes_first() -> None:
    assert str(derive_jacobian(cells.get("gru"))) == (
        "dh'/dh = diag(z) + diag((h - g) * z * (1 - z)) U_z + diag((1 - z) * (1 - g * g)) U_g diag(r)"
        " + diag((1 - z) * (1 - g * g)) U_g diag(h * r * (1 - r)) U_r"
    )


@pytest.mark.parametrize(
    ("right", "block"),
    [
        ("h", "I"),
        ("-h", "-I"),
        ("x - U h", "-U"),
        ("2 * h / 3", "diag(2 / 3)"),
        ("x / h", "-diag(x / h / h)"),
        ("U^T (V + U) h * x", "diag(x) U^T (V + U)"),
        ("mean(h)", "M"),
        ("layer_norm(h, 1e-5) * s", "diag(s) N(h)"),
        ("step(h)", "0"),
        ("W x", "0"),
        ("identity(h) + step(h) * h", "diag(1 + step(h))"),
        ("V [h, x]", "V [I; 0]"),
        ("max(h, x)", "diag((1 + step(h - x) - step(x - h)) / 2)"),
    ],
)
def test_each_construct(right: str, block: str) -> None:
    size = "n" if "W" in right or "V [" in right else "k"
    read = " + 0 * h" + " + 0 * x" * (size == "k")  # every input and state is read somewhere
    found = derive_jacobian(parse(f"input x[{size}]\nstate h[k]\nh' = {right}{read}"))
    assert (str(found) or "dh'/dh = 0") == f"dh'/dh = {block}"


def test_a_gate_that_is_a_long_sum_is_a_block() -> None:
    text = "input x[k]\nstate h[k]\nz = tanh(A h) + tanh(B h) + tanh(C h) + tanh(D h)\nh' = x * z"
    found = derive_jacobian(parse(text))
    assert list(found.blocks) == [("z", "h"), ("h'", "h")]
    assert str(found).splitlines()[1] == "dh'/dh = diag(x) dz/dh"


def test_what_carries_a_state_to_itself() -> None:
    paths = {name: derive_jacobian(cells.get(name)).paths for name in cells.names()}
    assert paths["elman"] == {"h": "matrices"}
    assert paths["gers2000"] == {"h": "matrices", "c": "diagonal"}
    assert paths["gru"] == {"h": "both"}
    assert paths["mingru"] == {"h": "diagonal"}
    assert derive_jacobian(parse("input x[k]\nstate h[k]\nh' = x")).paths == {"h": "nothing"}
    full = derive_jacobian(ls.lstm(peephole="full").cell).paths
    assert full == {"h": "matrices", "c": "both"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "input x[k]\nstate h[k]\nh' = h (h^T x)",
            "error[jacobian]: h changes with h, and only vectors have a Jacobian here",
        ),
        (
            "input x[k]\nstate h[k], C[k, k]\nC' = C + h x^T\nh' = C x",
            "error[jacobian]: C is a matrix, and only vectors have a Jacobian here\n  at       C[k, k]",
        ),
    ],
)
def test_what_is_no_vector_is_refused(text: str, message: str) -> None:
    with pytest.raises(CellError) as caught:
        derive_jacobian(parse(text))
    assert str(caught.value) == message


def test_for_json() -> None:
    told = derive_jacobian(ls.lstm().cell).to_dict()
    assert told["blocks"][1] == {"of": "c'", "by": "c", "block": "diag(f)"}
    assert told["paths"] == {"h": "matrices", "c": "diagonal"}
    assert parse(told["cell"]) == ls.lstm().cell
