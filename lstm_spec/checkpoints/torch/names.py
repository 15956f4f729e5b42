"""The record of a checkpoint → its tensors by path, and the LSTM modules in it with what they say of themselves.

A path is joined by dots through dicts, lists and objects; a module's `_parameters`, `_buffers` and `_modules` leave no
trace in it, as in `state_dict()`. What is shared is walked once, so that no nesting of references grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lstm_spec.checkpoints.files import malformed
from lstm_spec.checkpoints.shapes import check_count
from lstm_spec.checkpoints.torch.pickles import MAX_MARKS
from lstm_spec.checkpoints.torch.records import Object, Table
from lstm_spec.checkpoints.torch.tensors import View
from lstm_spec.errors import safe
from lstm_spec.layers.tensors import Operator

REGISTERED = ("_parameters", "_buffers", "_modules")
# The parameters of a recurrent module once more, as one list.
COPIES = ("_flat_weights",)
LSTMS = {"torch.nn.modules.rnn.LSTM": "LSTM", "torch.nn.modules.rnn.LSTMCell": "LSTMCell"}
MAX_NAME = 4_000
MAX_NAMES = 20_000_000

Path = tuple[str, ...]


@dataclass(slots=True)
class Found:
    """The views by name, and the modules that say themselves how they use theirs; `opaque` is the first other class."""

    views: dict[str, View] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    opaque: str = ""
    length: int = 0


def find_tensors(record: Any) -> Found:
    """Every tensor that can be reached. Raises Malformed for two of one name, and for what is nested too deeply."""
    found, seen, named = Found(), set[int](), set[int]()
    waiting: list[tuple[Any, Path]] = []  # attributes that are registered nowhere: after all that is
    for todo in ([(record, ())], waiting):
        registered = todo is not waiting
        while todo:
            value, path = todo.pop()
            if isinstance(value, View):
                if registered or id(value) not in named:
                    _name(value, path, found)
                    named.add(id(value))
            elif isinstance(value, Table | Object | list | tuple) and id(value) not in seen:
                seen.add(id(value))
                if len(path) > MAX_MARKS:
                    expected = f"{MAX_MARKS} levels"
                    raise malformed("nesting", "the checkpoint is nested too deeply", expected=expected)
                if isinstance(value, Object):
                    found.opaque = found.opaque or str(value.made_by)
                    found.operators += _operators(value, path)
                parts = list(_parts(value))
                todo += [(part, path + step) for part, step, late in reversed(parts) if not late]
                if late_parts := [(part, path + step) for part, step, late in reversed(parts) if late]:
                    waiting += late_parts
    return found


def _name(view: View, path: Path, found: Found) -> None:
    name = ".".join(path)
    if len(name) > MAX_NAME or any("\ud800" <= ch <= "\udfff" for ch in name):
        raise malformed("name", f"the name {safe(name, 60)} is not one", expected=f"Unicode text up to {MAX_NAME}")
    if name in found.views:
        raise malformed("duplicate", f"the checkpoint names {safe(name)} twice")
    found.views[name] = view
    found.length += len(name)
    check_count(len(found.views))
    if found.length > MAX_NAMES:
        raise malformed("too-large", "the names of the tensors are too long", expected=f"at most {MAX_NAMES} in all")


def _parts(value: Any) -> Iterator[tuple[Any, Path, bool]]:
    """What a record holds, by the steps to it, and whether it comes after everything else."""
    if isinstance(value, Table):
        yield from ((part, (_step(key),), False) for key, part in value.pairs)
    elif isinstance(value, Object):
        yield from _parts_of_object(value)
    else:
        yield from ((part, (str(index),), False) for index, part in enumerate(value))


def _step(key: Any) -> str:
    return str(key) if type(key) in (str, int, float, bool) else type(key).__name__


def _parts_of_object(value: Object) -> Iterator[tuple[Any, Path, bool]]:
    states = value.state if type(value.state) is tuple else (value.state,)
    tables = [state for state in states if isinstance(state, Table)]
    is_module = any(isinstance(table.get("_modules"), Table) for table in tables)
    for key, part in (pair for table in tables for pair in table.pairs):
        if is_module and key in REGISTERED and isinstance(part, Table):
            yield from ((inner, (_step(own),), False) for own, inner in part.pairs)
        elif key not in COPIES:
            yield part, (_step(key),), is_module
    for index, state in enumerate(states):  # of several states each has its number: TorchScript's packed LSTM has five
        if not isinstance(state, Table):
            yield state, ("state", str(index)) if len(states) > 1 else ("state",), False
    yield from ((part, (_step(key),), False) for key, part in value.table.pairs)
    yield from ((part, (str(index),), False) for index, part in enumerate((*value.arguments, *value.items)))


def _operators(value: Object, path: Path) -> Iterator[Operator]:
    """An LSTM module's own words: its options are plain numbers and flags in its state."""
    kind = LSTMS.get(str(value.made_by))
    parameters = value.state.get("_parameters") if isinstance(value.state, Table) else None
    if kind is None or not isinstance(parameters, Table):
        return
    own = {key: ".".join((*path, key)) for key, part in parameters.pairs if type(key) is str and isinstance(part, View)}
    attributes: dict[str, Any] = {"batch_first": value.state.get("batch_first") is True}
    if type(hidden := value.state.get("hidden_size")) is int:
        attributes["hidden_size"] = hidden
    yield Operator("LSTM", ".".join(path) or kind, own, attributes)
