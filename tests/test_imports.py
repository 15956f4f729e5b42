"""What is loaded when: importing the library costs nothing, and each command loads no more than it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "keras", "tensorflow", "jax", "onnx", "onnxruntime", "h5py", "safetensors")
TERMINAL = ("rich", "typer")
PROBE = """
import sys
{code}
loaded = {{name.partition('.')[0] for name in sys.modules}} | set(sys.modules)
print('\\n'.join(sorted(loaded)), file=sys.stderr)
"""


def loaded_by(code: str) -> set[str]:
    """Every module, and every package, that a fresh interpreter has loaded after `code`."""
    done = subprocess.run([sys.executable, "-c", PROBE.format(code=code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split("\n"))


def command(*arguments: str) -> str:
    """Code that runs a command."""
    return f"from lstm_spec_cli.app import main\nassert main({list(arguments)!r}) == 0"


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import lstm_spec", (*HEAVY, *TERMINAL, "numpy", "sympy", "lark")),
        ("import lstm_spec; dir(lstm_spec)", (*HEAVY, *TERMINAL, "numpy", "sympy")),
        ("import lstm_spec; lstm_spec.lstm(5, 10).shapes()", (*HEAVY, *TERMINAL, "numpy")),
        ("import lstm_spec; lstm_spec.compile(lstm_spec.lstm(5, 10))", (*HEAVY, *TERMINAL)),
        ("import lstm_spec; lstm_spec.check", (*HEAVY, *TERMINAL)),
        (command("--help"), (*HEAVY, "sympy", "numpy", "lark")),
        (command("shapes", "--help"), (*HEAVY, "sympy", "numpy", "lark")),
        (command("shapes", "n", "k"), (*HEAVY, "numpy")),
        (command("equations"), (*HEAVY, "numpy")),
        (command("params"), (*HEAVY, "numpy")),
    ],
)
def test_what_is_not_loaded(code: str, unwanted: tuple[str, ...]) -> None:
    assert loaded_by(code) & set(unwanted) == set()


def test_the_probe_can_fail() -> None:
    assert {"sympy", "sympy.core"} <= loaded_by("import lstm_spec; lstm_spec.lstm()")
    assert "numpy" in loaded_by("import numpy.linalg")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        loaded_by("1 / 0")


def test_every_public_name_is_there() -> None:
    import lstm_spec

    assert {name for name in lstm_spec.__all__ if not hasattr(lstm_spec, name)} == set()
    with pytest.raises(AttributeError, match="module 'lstm_spec' has no attribute 'lsmt'"):
        _ = lstm_spec.lsmt


def test_shapes_solves_nothing() -> None:
    """SymPy's own import loads its solvers; `shapes` must not call them."""
    code = (
        "import sympy.solvers.solvers as s\ndef refuse(*_, **__): raise AssertionError\ns.solve = s._solve = refuse\n"
    )
    assert "sympy" in loaded_by(code + "import sympy\nsympy.solve = refuse\n" + command("shapes", "5", "10"))
