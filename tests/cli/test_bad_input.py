"""A wrong question gets one clear answer on stderr and exit code 2; the whole message is asserted."""

from __future__ import annotations

import os

import pytest

WHOLE = "  expected a whole number ≥ 1, or a letter such as n\n"
LETTER = "  help     choose another letter, e.g. m\n"

WRONG_SIZES = {
    "0 4": f"error[size]: n = 0 is too small\n{WHOLE}",
    "-1 4": f"error[size]: n = -1 is too small\n{WHOLE}",
    "3 -4": f"error[size]: k = -4 is too small\n{WHOLE}",
    "-- -1 4": f"error[size]: n = -1 is too small\n{WHOLE}",
    "10000000000 4": f"error[size]: n = 10000000000 is too large\n{WHOLE}  found    more than 1,000,000,000\n",
    "3 4 5": "error[size]: 5 is one size too many\n  expected at most 2: n, k\n  help     remove it\n",
    "lambda k": f"error[size]: n = lambda cannot be a letter\n{WHOLE}  found    lambda is a keyword\n{LETTER}",
    "B k": f"error[size]: n = B cannot be a letter\n{WHOLE}  found    B counts the batch\n{LETTER}",
    "W_f k": f"error[size]: n = W_f cannot be a letter\n{WHOLE}"
    f"  found    W_f is a tensor of this cell (parameter)\n{LETTER}",
    "5 10 --size n=3": "error[size]: n is given twice\n  found    5 and 3\n",
    "--size n=3 --size n=4": "error[size]: n is given twice\n  found    3 and 4\n",
    "3 4 --projection 5 --size r=3": "error[size]: r is given twice\n  found    5 and 3\n",
    "--size q=3": "error[size]: the cell has no size q\n  expected n, k\n"
    "  help     sizes are named as in the equations\n",
    "--size q": "error[option]: --size q has no =\n  expected e.g. --size r=3\n",
    "--batch -1": "error[size]: batch = -1 is no length\n  expected a whole number ≥ 0, or B\n",
    "--time x": "error[size]: time = 'x' is no length\n  expected a whole number ≥ 0, or T\n",
    "--layers 0": "error[size]: layers = 0 is no count of layers\n  expected 1 to 1000\n",
    "--layers x": "error[size]: layers = 'x' is no count of layers\n  expected 1 to 1000\n",
}

WRONG_OPTIONS = {
    "--laters 3": "error[option]: there is no option --laters\n  help     did you mean --layers?\n",
    "--zzz=3": "error[option]: there is no option --zzz\n  help     lstm-spec shapes --help lists the options\n",
    "-x": "error[option]: there is no option -x\n  help     lstm-spec shapes --help lists the options\n",
    "--bias three": "error[option]: bias='three' is unknown\n  expected none, one, two\n",
    "--coupled g": "error[option]: coupled='g' is unknown\n  expected f=1-i, i=1-f\n",
    "--layout both": "error[option]: layout='both' is unknown\n  expected time, batch\n",
    "--output all": "error[option]: output='all' is unknown\n  expected sequence, last\n",
    "--forget-bias nan": "error[option]: forget_bias='nan' is no number\n  expected e.g. 1, or 0.5\n",
    "--reverse --bidirectional": "error[options]: reverse does not go with bidirectional\n"
    "  help     a bidirectional layer reads both ways\n",
    "--cell my.cell --peephole --bias two": "error[options]: --cell does not go with --bias, --peephole\n"
    "  because  --bias, --peephole would change the LSTM's equations, and --cell brings its own\n"
    "  help     write it into the equations, or drop --cell\n",
    "--cell gru2": "error[cell]: no cell is called gru2\n"
    "  help     did you mean gru? lstm-spec cells lists them; a file's name ends in .cell or has a slash\n",
}


@pytest.mark.parametrize("arguments", [*WRONG_SIZES, *WRONG_OPTIONS])
def test_a_wrong_size_or_option(command, arguments):
    outcome = command("shapes", *arguments.split())
    assert outcome.err == (WRONG_SIZES | WRONG_OPTIONS)[arguments]
    assert (outcome.code, outcome.out) == (2, "")


@pytest.mark.parametrize(
    "name", ["__import__('os')", "2.5", "n+1", "n k", "", "ñ", "9" * 40, "\x1b[31m", "k" * 65, "1_0"]
)
def test_what_is_no_size_is_refused_and_shown_harmlessly(command, name):
    outcome = command("shapes", name, 4)
    assert outcome.err.startswith("error[size]: n = ")
    assert (outcome.code, outcome.out, "\x1b" in outcome.err) == (2, "", False)


@pytest.mark.parametrize(
    ("arguments", "message", "help"),
    [
        ("chek", "No such command 'chek'. Did you mean 'check'?", "lstm-spec --help"),
        ("equations --format", "Option '--format' requires an argument.", "lstm-spec --help"),
        ("check", "Missing argument 'FILE'.", "lstm-spec check --help"),
        ("run w.npz --output y.npz", "Missing option '--input'.", "lstm-spec run --help"),
    ],
)
def test_usage_errors_have_the_same_form(command, arguments, message, help):
    outcome = command(*arguments.split())
    assert outcome.err == f"error[usage]: {message}\n  help     {help}\n"
    assert (outcome.code, outcome.out) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("equations --format pdf", "error[option]: format='pdf' is unknown\n  expected text, latex, markdown\n"),
        ("code --stage ir", "error[option]: stage='ir' is unknown\n  expected source, program\n"),
    ],
)
def test_wrong_choices(command, arguments, message):
    outcome = command(*arguments.split())
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message)


WRONG_FILES = {
    "missing.cell": (None, "error[missing]: there is no such file\n"),
    "empty.cell": (b" \n", "error[empty]: the file is empty\n"),
    "huge.cell": (b"# " + b"a" * 70_000, "error[too-large]: the file has more than 64 kB\n"),
    "binary.cell": (b"input\xff", "error[not-text]: the file is not UTF-8 text\n"),
}
WRONG_FILES_EXPECTED = {
    "empty.cell": "  expected equations, e.g. what lstm-spec equations prints\n",
    "huge.cell": "  expected equations as text\n",
    "binary.cell": "  expected equations as text\n  found    the byte 0xff at 5\n",
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_cell_file_that_cannot_be_read(command, tmp_path, monkeypatch, name):
    content, message = WRONG_FILES[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    outcome = command("equations", "--cell", name)
    assert outcome.err == f"{message}  at       {name}\n{WRONG_FILES_EXPECTED.get(name, '')}"
    assert (outcome.code, outcome.out) == (2, "")


@pytest.mark.parametrize(("make", "found"), [(os.mkdir, "a directory"), (os.mkfifo, "a pipe, a socket or a device")])
def test_a_cell_that_is_no_regular_file_is_not_waited_for(command, tmp_path, monkeypatch, make, found):
    make(tmp_path / "odd.cell")
    monkeypatch.chdir(tmp_path)
    outcome = command("equations", "--cell", "odd.cell")
    assert outcome.err == (
        "error[not-a-file]: this is not a regular file\n"
        f"  at       odd.cell\n  expected a regular file\n  found    {found}\n"
    )


def test_a_path_with_a_nul_is_no_file(command):
    assert command("equations", "--cell", "a\0.cell").err.startswith("error[missing]: there is no such file\n")


WRONG_CELLS = {
    "dimension": "input x[n]\nstate h[k]\nh' = tanh(W x + U h + b * x)",
    "undetermined": "input x[n]\nstate h[k]\nz = V x\nh' = tanh(W z + U h)",
    "function": "input x[n]\nstate h[k]\nh' = tahn(W x + U h)",
    "unused": "input x[n]\nstate h[k]\ng = W x\nh' = tanh(W x + U h)",
    "state": "input x[n]\nstate h[k], c[k]\nh' = tanh(W x + U h + c)",
    "twice": "input x[n]\nstate h[k]\nh' = tanh(W x)\nh' = tanh(U h)",
    "unused ": "input x[n], u[n]\nstate h[k]\nh' = tanh(W x + U h)",
    "cycle": "input x[n]\nstate h[k]\na = tanh(b_)\nb_ = tanh(a + W x)\nh' = a + h",
    "syntax": "input x[n]\nstate h[k]\nh' = tanh(W x +",
    "size": "input x[10]\nstate h[k]\nh' = tanh(W x)",
}


@pytest.mark.parametrize("code", WRONG_CELLS)
def test_wrong_equations_are_quoted_from_their_file(command, tmp_path, code):
    path = tmp_path / "my.cell"
    path.write_text(WRONG_CELLS[code])
    outcome = command("shapes", "--cell", path)
    assert outcome.err.startswith(f"error[{code.strip()}]: ")
    assert "\n  at       my.cell:" in outcome.err
    assert (outcome.code, outcome.out) == (2, "")
