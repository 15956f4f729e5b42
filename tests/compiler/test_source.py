"""The emitted source: golden files, run by themselves; the same from run to run; and nothing of a stranger's in it."""

from __future__ import annotations

import ast
import keyword
import os
import re
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from lstm_spec.cells.family import lstm_cell
from lstm_spec.compiler.compiled import compile_layer
from lstm_spec.layers.factory import lstm
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.algebra import Add, Name, Number, Product
from lstm_spec.symbolic.cell import Cell, Declaration, Equation, letter
from lstm_spec.symbolic.language import parse
from tests.compiler.generated import moderate_cells
from tests.compiler.oracle import random_inputs
from tests.laws import tried
from tests.strategies import OPTIONS

GOLDEN = Path(__file__).parent / "golden"
FUNCTIONS = """
# Every function of the language, and names that are Python's
input x_t[n]
state h[k], lambda[k]
let run[k], y[k]

run     = sigmoid(W x_t + b) * relu(U h - d) + softplus(V [h, x_t])
y       = layer_norm(run, 1e-5) + mean(lambda) - hard_sigmoid(h, 1/5, 1/2)
packed  = max(exp(tanh(y)), log(1 + abs(y))) / sqrt(1 + softsign(y) * softsign(y))
lambda' = clip(packed, -3, 3) + leaky_relu(h, 0.1) + elu(lambda, 1)
h'      = tanh(identity(lambda') - step(P^T y)) * (1 - weights)
output h, y
"""
LAYERS: dict[str, Layer] = {
    "plain": lstm(5, 10),
    "letters": lstm("n", "k"),
    "reverse": lstm(3, 2, bias="none", reverse=True, realign=False),
    "every_option": lstm(
        3, 4, bias="two", peephole=True, coupled="i=1-f", projection=2, forget_bias=1, layers=2, bidirectional=True
    ),
    "last_step": lstm(3, 4, coupled="f=1-i", output="last", bidirectional=True),
    "joined": Layer(parse("input x[n]\nstate h[k]\nh' = tanh(W [h, x] + b)")),
    "functions": Layer(parse(FUNCTIONS), n=3, k=2),
    "one_value_two_states": Layer(parse("input x[n]\nstate h[k], c[k]\nc' = tanh(W x + U h) + c\nh' = c'"), n=3, k=2),
    "weights_only": Layer(
        parse("input x[n]\nstate c[k]\nlet m[k]\noutput c, m\nm = b * b\nc' = tanh(V [m, c] + W x)"), n=3, k=2
    ),
}
SIZES = {"n": 3, "k": 2}


@pytest.mark.parametrize("name", LAYERS)
def test_the_source_is_the_golden_file(name: str, request: pytest.FixtureRequest) -> None:
    path, source = GOLDEN / f"{name}.py", compile_layer(LAYERS[name]).source
    if request.config.getoption("--refresh"):
        path.write_text(source, encoding="utf-8")
    assert source == path.read_text(encoding="utf-8")


def test_every_golden_file_belongs_to_a_layer() -> None:
    assert {path.stem for path in GOLDEN.glob("*.py")} == set(LAYERS)


ALONE = """
import runpy, sys
import numpy as np
for path in sys.argv[1:]:
    module = runpy.run_path(path)
    given = np.load(path.replace(".py", ".npz"))
    weights = {name[2:]: given[name] for name in given if name.startswith("w.")}
    states = [given[name] for name in given if name.startswith("s.")]
    results = module["run"](module["pack"](weights), given["x"], *states)
    np.savez(path.replace(".py", ".out.npz"), *results)
assert not {"lstm_spec", "sympy", "lark"} & set(sys.modules)
"""


def test_golden_files_run_with_nothing_but_numpy(tmp_path: Path) -> None:
    wanted: dict[str, list[Any]] = {}
    for name, layer in LAYERS.items():
        closed = layer.at(**{n: SIZES[n] for n in layer.open_letters})
        x, weights, state = random_inputs(closed, 4, 2, 0)
        (tmp_path / f"{name}.py").write_text((GOLDEN / f"{name}.py").read_text(encoding="utf-8"), encoding="utf-8")
        named = {f"w.{n}": v for n, v in weights.items()} | {f"s.{n}": v for n, v in state.items()}
        np.savez(tmp_path / f"{name}.npz", **{"x": x} | named)  # type: ignore[arg-type]
        y, finals = compile_layer(layer)(x, weights, state)
        wanted[name] = [y, *finals.values()]
    files = [str(tmp_path / f"{name}.py") for name in LAYERS]
    subprocess.run([sys.executable, "-I", "-W", "error", "-c", ALONE, *files], check=True, cwd=tmp_path)
    for name, arrays in wanted.items():
        with np.load(tmp_path / f"{name}.out.npz") as found:
            assert len(found.files) == len(arrays)
            assert all(np.array_equal(found[key], array) for key, array in zip(found.files, arrays, strict=True))


HASHES = """
import hashlib
import lstm_spec as ls
text = "input x[n]\\nstate h[k], c[k]\\n[i, f, g, o] = W [x, h] + b\\nc' = f * c + i * g\\nh' = o * tanh(c')"
layers = [
    ls.lstm("n", "k"), ls.lstm("b", "a", peephole=True, projection="r", layers=3, bidirectional=True),
    ls.Layer(ls.parse(text)), ls.Layer(ls.parse(text), n=3, layers=2, direction="both"),
]
print(hashlib.sha256("".join(ls.compile(layer).source + str(ls.compile(layer).program) for layer in layers).encode())
    .hexdigest())
"""


def test_source_and_listing_are_the_same_under_any_hash_seed() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", HASHES],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "random")
    ]
    printed = {process.communicate()[0] for process in running}
    assert len(printed) == 1
    assert re.fullmatch(r"[0-9a-f]{64}\n", printed.pop())


def test_equal_cells_written_differently_show_their_own_text() -> None:
    one, other = (parse(f"input x[n]\nstate h[k]\nh' = tanh(W x + {number} * h)") for number in ("0.5", "5e-1"))
    assert one == other
    assert "0.5 * h" in compile_layer(Layer(one, n=2, k=2)).source
    assert "5e-1 * h" in compile_layer(Layer(other, n=2, k=2)).source


def test_a_traceback_quotes_the_emitted_line() -> None:
    layer = Layer(parse("input x[n]\nstate h[k]\nh' = exp(W x + U h)"), n=1, k=1)
    run = compile_layer(layer)
    packed = run.pack({"W": np.ones((1, 1)), "U": np.ones((1, 1))})
    with np.errstate(over="raise"), pytest.raises(FloatingPointError) as caught:
        run._functions["run"](packed.arrays, np.full((1, 1, 1), 1e3), np.zeros((1, 1)))
    shown = "".join(traceback.format_exception(caught.value))
    assert re.search(r'File "<lstm-spec [0-9a-f]{12}>", line \d+, in step\n +h_new = np\.exp\(', shown)


@pytest.mark.parametrize(("direction", "step"), [("forward", 5), ("both", 1)])
def test_lines_are_of_a_length_that_people_read(direction: Any, step: int) -> None:
    for options in OPTIONS[::step]:
        layer = Layer(lstm_cell(options), layers=2, direction=direction)
        assert max(map(len, compile_layer(layer).source.splitlines())) <= 100


# ---- nothing of a stranger's ----

ATTRIBUTES = set(
    "T shape dtype astype mean empty concatenate broadcast_to where exp expm1 log log1p logaddexp sqrt abs tanh "
    "maximum minimum clip".split()
)
HELPERS = {"sigmoid", "softsign", "unit_step", "mean", "spread", "hard_sigmoid", "leaky_relu", "elu", "layer_norm"}
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def hold_alphabet(layer: Layer, source: str) -> None:
    """Only what the emitter says may be said: fixed calls and attributes, plain identifiers, known strings."""
    tree = ast.parse(source)
    steps = {f"step_{m.prefix.replace('.', '_')}" for m in layer.members} | {"step"}
    docstrings = {ast.get_docstring(node, clean=False) for node in [tree, *tree.body] if _has_docstring(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert ast.unparse(node) == "import numpy as np"
        elif isinstance(node, ast.Attribute):
            assert node.attr in ATTRIBUTES
        elif isinstance(node, ast.Call):
            plain = isinstance(node.func, ast.Name)
            assert not plain or ast.unparse(node.func) in steps | HELPERS | {"range"}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value in docstrings | set(layer.parameter_shapes())
        names = [getattr(node, part, None) for part in ("id", "arg", "name")]
        for name in filter(None, names):
            assert IDENTIFIER.fullmatch(name)
            assert not keyword.iskeyword(name)
            assert not name.startswith("__")
    assert {f.name for f in tree.body if isinstance(f, ast.FunctionDef)} <= steps | HELPERS | {"pack", "run"}


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.FunctionDef)


@tried(60, *HealthCheck)
@given(cell=moderate_cells(), description=st.text(max_size=60), both=st.booleans())
def test_only_the_fixed_alphabet_reaches_the_source(cell: Cell, description: str, both: bool) -> None:
    numbers = dict(zip(cell.letters, (2, 3, 4), strict=False))
    layer = Layer(cell, direction="both" if both else "forward").at(**numbers)
    source = compile_layer(layer).source
    hold_alphabet(layer, source)
    described = layer.with_(cell=replace(cell, description=description))
    assert compile_layer(described).source == source


@pytest.mark.parametrize(
    "text",
    ['"""\nimport os', "'''", "\\", '\\"""', "{}{x}%s", "\x00\x1b[31m", "é‮", "# " * 50, '"' * 7, "\r\nimport os"],
)
def test_a_description_or_a_number_that_is_code(text: str) -> None:
    half = Add(Product(Name("W"), Name("x")), Add(Name("h"), Number(1, f"1{text}")))
    sizes = [Declaration(name, (letter(size),)) for name, size in (("x", "n"), ("h", "k"))]
    cell = Cell((sizes[0],), (sizes[1],), (Equation(("h'",), half),), description=text)
    layer = Layer(cell, n=2, k=2)
    source = compile_layer(layer).source
    hold_alphabet(layer, source)
    assert source.isascii()


def test_no_two_sizes_or_tensors_share_an_identifier() -> None:
    """`W_` and `W` are both W once underscores are stripped; `c'` is c_new; a size may be called `step_l0`."""
    text = """
        input x[step_l0]
        state c[k], W_[k]
        c_new = tanh(W x + W__ W_ + _W)
        c' = c_new * c + step(c - W_)
        W_' = tanh(V x) + c'
        output c
    """
    layer = Layer(parse(text), direction="both").at(step_l0=2, k=3)
    x, weights, state = random_inputs(layer, 3, 2, 0)
    y, _ = compile_layer(Layer(layer.cell, direction="both"))(x, weights, state)
    assert np.array_equal(y, compile_layer(layer)(x, weights, state)[0])
