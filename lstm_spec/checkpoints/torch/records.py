"""What a pickle is read as: dicts as pairs, classes by name, and what they would have made as inert records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lstm_spec.checkpoints.files import malformed
from lstm_spec.errors import safe

MAX_LINE = 1_000
# Nothing here is ever called, and a checkpoint that names one of these is an attack.
ATTACKS = frozenset(
    """os posix nt sys subprocess pty runpy importlib imp shutil socket ctypes pickle _pickle cloudpickle dill marshal
    code codeop timeit pdb bdb cProfile profile trace doctest webbrowser http urllib requests httpx aiohttp ftplib
    smtplib ssl pip ensurepip venv asyncio multiprocessing concurrent threading _thread signal platform commands
    operator _operator tempfile io _io nturl2path idlelib lib2to3 distutils setuptools site sysconfig zipimport pkgutil
    pydoc""".split()
)
BUILTINS = frozenset({"builtins", "__builtin__"})
HARMLESS = frozenset(
    "set frozenset dict list tuple int long float complex bool str unicode bytes bytearray object slice range".split()
)


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A class or function by its name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Table:
    """A dict as its pairs: a stranger's keys are never hashed, so that no set of keys can be slow."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)

    def get(self, key: str) -> Any:
        """The last value under a text; None where there is none."""
        return next((value for found, value in reversed(self.pairs) if type(found) is str and found == key), None)


@dataclass(slots=True, eq=False)
class Object:
    """What a class or function of this name would have made: its arguments, its state, its items."""

    made_by: Global
    arguments: tuple[Any, ...]
    state: Any = None
    items: list[Any] = field(default_factory=list)
    table: Table = field(default_factory=Table)


def checked_global(module: str, name: str) -> Global:
    """The name of a class or function. Raises Malformed for one that only an attack needs."""
    if max(len(module), len(name)) > MAX_LINE:
        raise malformed("pickle", "a name in the pickle is too long", expected=f"at most {MAX_LINE} characters")
    root = module.partition(".")[0]
    if root in ATTACKS or (root in BUILTINS and name not in HARMLESS):
        raise malformed(
            "code",
            f"the pickle would run {safe(f'{module}.{name}')}",
            because="no checkpoint needs it; loading this file with pickle or torch.load can run code",
            help="nothing in it was run; do not load this file",
        )
    return Global(module, name)
