"""`lstm-spec equations`: the six equations in the written order."""

from __future__ import annotations

import lstm_spec as ls

PLAIN = """\
input x[n]
state h[k], c[k]

i  = sigmoid(W_i x + U_i h + b_i)
f  = sigmoid(W_f x + U_f h + b_f)
g  = tanh(W_g x + U_g h + b_g)
o  = sigmoid(W_o x + U_o h + b_o)
c' = f * c + i * g
h' = o * tanh(c')
"""


def test_six_equations_in_the_written_order(command):
    assert command("equations").out == PLAIN


def test_options_change_the_equations(command):
    out = command("equations", "--peephole", "--bias", "two", "--coupled", "i=1-f", "--forget-bias", "0.5").out
    assert "f  = sigmoid(W_f x + b_Wf + U_f h + b_Uf + p_f * c + 0.5)\n" in out
    assert "i  = 1 - f\n" in out


def test_a_printed_cell_is_a_cell_file(command, tmp_path):
    path = tmp_path / "my.cell"
    path.write_text(command("equations", "--peephole", "--projection", "r").out)
    assert command("equations", "--cell", path).out == path.read_text()
    assert ls.parse(path.read_text()) == ls.lstm(peephole=True, projection=True).cell


def test_latex(command):
    out = command("equations", "--format", "latex").out
    assert out.splitlines()[0] == r"\begin{aligned}"
    assert r"f_{t} &= \sigma\left(W_{f}\, x_{t} + U_{f}\, h_{t-1} + b_{f}\right) \\" in out.splitlines()
    assert r"c_{t} &= f_{t} \odot c_{t-1} + i_{t} \odot g_{t} \\" in out.splitlines()


def test_markdown_keeps_the_description(command, tmp_path):
    path = tmp_path / "my.cell"
    path.write_text("# Elman 1990\ninput x[n]\nstate h[k]\nh' = tanh(W x + U h + b)\n")
    lines = command("equations", "--format", "markdown", "--cell", path).out.splitlines()
    assert (lines[0], lines[2], lines[-1]) == ("Elman 1990", "$$", "$$")


def test_control_characters_of_a_file_are_written_out(command, tmp_path):
    path = tmp_path / "red.cell"
    path.write_text("# \x1b[31mred\u202e\ninput x[n]\nstate h[k]\nh' = tanh(W x + U h + b)\n")
    assert command("equations", "--cell", path).out.splitlines()[0] == r"# \x1b[31mred\u202e"


def test_every_cell_of_the_catalogue_is_shown_by_its_name(command):
    listed = [line.split()[0] for line in command("cells").out.splitlines()[2:]]
    assert listed == list(ls.cells.names())
    for name in listed:
        assert command("equations", "--cell", name).out == f"{ls.cells.get(name)}\n"
        assert command("equations", "--cell", name, "--format", "latex").code == 0
