"""A stranger's pickle → inert records, opcode by opcode, over `pickletools.genops`; nothing is imported or called.

A dict becomes a `Table`, what a class or a function would have made an `Object`; tuples, lists, texts and numbers are
themselves. What a function that is known makes, and what a persistent id means, its reader says. The opcodes are those
of protocols 2 to 5 that checkpoints use; memory, nesting, numbers and names are bounded before they are built.
Source of the opcodes: Lib/pickletools.py, CPython.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from io import BufferedIOBase
from typing import Any

from lstm_spec.checkpoints.files import Malformed, malformed
from lstm_spec.checkpoints.torch.records import MAX_LINE, Global, Object, Table, checked_global
from lstm_spec.errors import safe

# A tensor takes about 40 opcodes and 5 records; 100 000 tensors are the most that are read.
MAX_OPS = 4_000_000
MAX_RECORDS = 600_000
MAX_VALUES = 1_500_000  # numbers and texts
MAX_PICKLE = 32_000_000
MAX_MARKS = 64
MAX_BITS = 256

Known = Mapping[str, Callable[..., Any]]


class Source:
    """The bytes of a pickle as genops reads them: never more than are there, never more than a pickle may have."""

    def __init__(self, stream: BufferedIOBase, end: int) -> None:
        self.stream = stream
        self.end = min(end, stream.tell() + MAX_PICKLE)
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        left = self.end - self.tell()
        if size > left:
            raise malformed("pickle", "the pickle ends too early", expected=f"{size} bytes", found=f"{max(left, 0)}")
        return self.stream.read(size)

    def readline(self) -> bytes:
        line = self.stream.readline(min(MAX_LINE, max(self.end - self.tell(), 0)))
        if len(line) == MAX_LINE:
            raise malformed("pickle", "a name in the pickle is too long", expected=f"at most {MAX_LINE} bytes")
        return line


def read_pickle(source: Source, known: Known, persistent: Callable[[Any], Any]) -> Any:
    """The record that one pickle makes; the stream stands after it.

    `known` makes the records of known functions from their arguments, `persistent` those of persistent ids. Raises
    Malformed for an opcode that no checkpoint needs, and for anything that breaks a bound.
    """
    machine = Machine(known, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(source):  # type: ignore[arg-type]
            machine.step(opcode.name, argument, source)
    except (ValueError, OverflowError, IndexError) as error:
        because = "an opcode finds nothing to work on" if isinstance(error, IndexError) else safe(error)
        raise malformed("pickle", "the pickle is broken", because=because) from None
    if len(machine.stack) != 1 or machine.marks:
        raise malformed("pickle", "the pickle is broken", because="it does not end with one value")
    return machine.stack[0]


class Machine:
    """The stack, the marks and the memo of one pickle."""

    def __init__(self, known: Known, persistent: Callable[[Any], Any]) -> None:
        self.known, self.persistent = known, persistent
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.ops = self.records = self.values = 0

    def step(self, name: str, argument: Any, source: Source) -> None:
        """One opcode."""
        self.ops += 1
        if self.ops > MAX_OPS:
            raise malformed("too-large", "the pickle has too many opcodes", expected=f"at most {MAX_OPS}")
        if name in VALUES:
            self.values += 1
            if self.values > MAX_VALUES:
                raise malformed("too-large", "the pickle holds too many values", expected=f"at most {MAX_VALUES}")
            self.stack.append(_bounded(argument))
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in OPCODES:
            OPCODES[name](self, argument)
        elif name == "FRAME":
            if argument > (left := source.end - source.tell()):
                what = "a frame is longer than the pickle"
                raise malformed("pickle", what, expected=f"{argument} bytes", found=f"{left} bytes")
        elif name not in ("PROTO", "STOP"):
            raise malformed(
                "pickle",
                f"the pickle uses the opcode {name}, which no checkpoint needs",
                help="nothing in it was run",
            )

    def push(self, record: Any) -> None:
        """A new record."""
        self.records += 1
        if self.records > MAX_RECORDS:
            raise malformed("too-large", "the pickle makes too many records", expected=f"at most {MAX_RECORDS}")
        self.stack.append(record)

    def pop_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def put(self, index: int) -> None:
        """The top of the stack gets a number; a pickler counts them from 0."""
        if not 0 <= index < self.ops:
            raise malformed("pickle", "the pickle numbers a value beyond its opcodes", found=f"{index}")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        """The value with that number again."""
        if index not in self.memo:
            raise malformed("pickle", "the pickle asks for a value that it never stored", found=f"{index}")
        self.stack.append(self.memo[index])


def _bounded(argument: Any) -> Any:
    if type(argument) is int and argument.bit_length() > MAX_BITS:
        raise malformed("pickle", "a number in the pickle is too large", expected=f"at most {MAX_BITS} bits")
    return argument


def _mark(m: Machine, _: Any) -> None:
    if len(m.marks) >= MAX_MARKS:
        raise malformed("nesting", "the pickle is nested too deeply", expected=f"{MAX_MARKS} levels")
    m.marks.append(m.stack)
    m.stack = []


def _pop(m: Machine, _: Any) -> None:
    m.stack.pop()


def _pop_mark(m: Machine, _: Any) -> None:
    m.pop_mark()


def _last(count: int) -> Callable[[Machine, Any], None]:
    def push_tuple(m: Machine, _: Any) -> None:
        if len(m.stack) < count:
            raise IndexError
        values = tuple(m.stack[-count:])
        del m.stack[-count:]
        m.push(values)

    return push_tuple


def _global(m: Machine, argument: Any) -> None:
    module, _, name = argument.partition(" ")
    m.push(checked_global(module, name))


def _stack_global(m: Machine, _: Any) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise malformed("pickle", "a class or function in the pickle has no name")
    m.push(checked_global(module, name))


def _reduce(m: Machine, _: Any) -> None:
    arguments, made_by = m.stack.pop(), m.stack.pop()
    m.push(reduced(made_by, arguments, m.known))


def reduced(made_by: Any, arguments: Any, known: Known) -> Any:
    """What a function makes of its arguments, where it is known; else an inert record of both."""
    if type(arguments) is not tuple:
        raise malformed("pickle", "a call in the pickle has no arguments", found=type(arguments).__name__)
    if not isinstance(made_by, Global):
        raise malformed("pickle", "the pickle calls what is no class or function", found=type(made_by).__name__)
    make = known.get(str(made_by))
    if make is None:
        return Object(made_by, arguments)
    try:
        return make(*arguments)
    except TypeError:
        raise bad_call(str(made_by)) from None


def bad_call(name: str) -> Malformed:
    """The error for a known function with arguments that it does not take."""
    return malformed("pickle", f"the arguments of {safe(name)} are not what it takes")


def _new(m: Machine, _: Any) -> None:
    arguments, made_by = m.stack.pop(), m.stack.pop()
    if not isinstance(made_by, Global) or type(arguments) is not tuple:
        raise malformed("pickle", "the pickle makes an object of no class")
    m.push(Object(made_by, arguments))


def _new_with_names(m: Machine, _: Any) -> None:
    named, arguments, made_by = m.stack.pop(), m.stack.pop(), m.stack.pop()
    if not isinstance(made_by, Global) or type(arguments) is not tuple:
        raise malformed("pickle", "the pickle makes an object of no class")
    m.push(Object(made_by, (*arguments, named)))


def _build(m: Machine, _: Any) -> None:
    state, target = m.stack.pop(), m.stack[-1]
    if isinstance(target, Object) and target.state is None:
        target.state = state
    elif not isinstance(target, Table):  # an OrderedDict's attributes: the versions of a state dict
        raise malformed("pickle", "the pickle gives a state to what has none", found=type(target).__name__)


def _set_items(m: Machine, items: list[Any]) -> None:
    target = m.stack[-1]
    table = target.table if isinstance(target, Object) else target
    if not isinstance(table, Table) or len(items) % 2:
        raise malformed("pickle", "the pickle sets items of what is no dict", found=type(target).__name__)
    table.pairs.extend(zip(items[::2], items[1::2], strict=True))


def _append(m: Machine, items: list[Any]) -> None:
    target = m.stack[-1]
    values = target.items if isinstance(target, Object) else target
    if type(values) is not list:
        raise malformed("pickle", "the pickle appends to what is no list", found=type(target).__name__)
    values.extend(items)


def _pair(m: Machine, _: Any) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    _set_items(m, [key, value])


NO_SET = Global("builtins", "set")
VALUES = frozenset(
    """BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINSTRING SHORT_BINSTRING
    BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8""".split()
)
CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
OPCODES: Mapping[str, Callable[[Machine, Any], None]] = {
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "TUPLE1": _last(1),
    "TUPLE2": _last(2),
    "TUPLE3": _last(3),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_mark())),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_DICT": lambda m, _: m.push(Table()),
    "EMPTY_SET": lambda m, _: m.push(Object(NO_SET, ())),
    "FROZENSET": lambda m, _: m.push(Object(NO_SET, tuple(m.pop_mark()))),
    "APPEND": lambda m, _: _append(m, [m.stack.pop()]),
    "APPENDS": lambda m, _: _append(m, m.pop_mark()),
    "ADDITEMS": lambda m, _: _append(m, m.pop_mark()),
    "SETITEM": _pair,
    "SETITEMS": lambda m, _: _set_items(m, m.pop_mark()),
    "BINPUT": lambda m, index: m.put(index),
    "LONG_BINPUT": lambda m, index: m.put(index),
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "BINGET": lambda m, index: m.get(index),
    "LONG_BINGET": lambda m, index: m.get(index),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _new,
    "NEWOBJ_EX": _new_with_names,
    "BUILD": _build,
    "BINPERSID": lambda m, _: m.push(m.persistent(m.stack.pop())),
}
