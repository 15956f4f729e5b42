"""A Keras model's configuration, read as data → what each recurrent layer says of itself.

Nothing is instantiated, and no name is looked up: `class_name` is compared with a closed table, options are taken one
by one with strict types, and whatever else there is (Lambda, a registered class, a module path) is counted as present
and not evaluated. Source: keras/src/saving/serialization_lib.py of Keras 3.15, keras/engine/{topology,saving}.py of 1
and 2; CVE-2025-1550, CVE-2025-9905 and CVE-2024-3660 are what happens otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lstm_spec.checkpoints.files import malformed
from lstm_spec.checkpoints.keras.flow import rank_layers
from lstm_spec.errors import safe

# class_name → the kind of operator; a ConvLSTM has the names of an LSTM and other equations.
KINDS = {"LSTM": "LSTM", "CuDNNLSTM": "CuDNNLSTM", "GRU": "GRU", "CuDNNGRU": "GRU", "SimpleRNN": "RNN"}
KINDS |= {f"ConvLSTM{d}D": f"ConvLSTM{d}D" for d in (1, 2, 3)}
CELLS = {"LSTMCell": "LSTM", "GRUCell": "GRU", "SimpleRNNCell": "RNN"}
# What runs code of the file's own when Keras loads it.
EVALUATED = ("Lambda", "TFOpLambda", "SlicingOpLambda", "TFSMLayer")
MAX_UNITS = 2**31 - 1
MAX_LAYERS = 10_000
FLAGS = ("use_bias", "go_backwards", "return_sequences", "unit_forget_bias", "stateful", "time_major")
ACTIVATIONS = {"activation": "activation", "recurrent_activation": "recurrent_activation"}
KERAS_1 = {"output_dim": "units", "inner_activation": "recurrent_activation"}


@dataclass(frozen=True, slots=True)
class Described:
    """One recurrent layer of a configuration.

    `names` are those of the models and layers around it and its own, outermost first; `places` the same as the
    groups of a `.weights.h5` are called, which are numbered by class; `declared` the shape that it was built for.
    `turn` says when data comes to it, by its number in each model around it; None where one of these does not say.
    """

    kind: str
    names: tuple[str, ...]
    places: tuple[str, ...]
    attributes: Mapping[str, Any]
    declared: tuple[int | None, ...] | None = None
    turn: tuple[int, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """The recurrent layers, and how many parts of the model only code of the file's own could tell."""

    layers: tuple[Described, ...] = ()
    not_evaluated: Mapping[str, int] | None = None


def read_configuration(config: Mapping[str, Any], version: str) -> Configuration:
    """The recurrent layers that a model's configuration describes; `version` is the Keras that wrote it.

    Raises Malformed when an option that matters has no value of its type.
    """
    layers: list[Described] = []
    for one in _walk(config, (), (), version):
        layers.append(one)
        if len(layers) > MAX_LAYERS:
            raise malformed("too-large", "the configuration has too many layers", expected=f"at most {MAX_LAYERS}")
    counts: dict[str, int] = {}
    _count_evaluated(config, counts)
    return Configuration(tuple(layers), counts)


def _walk(
    table: Any, names: tuple[str, ...], places: tuple[str, ...], version: str, prefix: str = ""
) -> Iterator[Described]:
    """Everything recurrent in one layer's table; `prefix` is what a Bidirectional puts before its layer's name."""
    if type(table) is not dict or type(table.get("class_name")) is not str:
        return
    kind, config = table["class_name"], table.get("config")
    if type(config) is list:  # a Sequential of Keras 1 and of early 2
        config = {"layers": config}
    if type(config) is not dict:
        return
    name = config.get("name", table.get("name"))
    names = (*names, _of_direction(name, prefix)) if type(name) is str else names
    if kind in KINDS or kind in CELLS:
        yield _described(KINDS.get(kind) or CELLS[kind], table, config, names, places, version)
    elif kind == "Bidirectional":
        merged = {"half_of": safe("/".join(names), 200), **_merge(config)}
        for one in _both(table, config, names, places, version):
            yield replace(one, attributes={**one.attributes, **merged})
    elif type(layer := config.get("layer")) is dict:  # TimeDistributed and other wrappers
        yield from _walk(layer, names, (*places, "layer"), version)
    elif type(config.get("cell")) is dict:
        backwards = {"go_backwards": True} if config.get("go_backwards") is True else {"go_backwards": False}
        for one in _walk(config["cell"], names, (*places, "cell"), version):
            yield replace(one, attributes=backwards | dict(one.attributes))
    for part, inside in (("layers", "layers"), ("cells", "cells")):
        if type(config.get(part)) is list:
            tables = _fed_in_a_row(config[part]) if kind == "Sequential" else config[part]
            turns = rank_layers(kind, config, tables) if part == "layers" else list(range(len(tables)))
            yield from _in_order(tables, turns, names, (*places, inside), version)


def _fed_in_a_row(tables: list[Any]) -> list[Any]:
    """The layers of a Sequential, the second with the shape that its InputLayer declares, if it says none itself."""
    if len(tables) < 2 or not all(type(table) is dict for table in tables[:2]):
        return tables
    first, second, *rest = tables
    if first.get("class_name") != "InputLayer" or type(first.get("config")) is not dict:
        return tables
    shape = _declared({}, first["config"])
    built: dict[str, Any] = {} if shape is None else {"build_config": {"input_shape": list(shape)}}
    return [first, {**built, **second}, *rest]


def _of_direction(name: str, prefix: str) -> str:
    """Keras 2 writes `lstm_1` in the wrapper's table, Keras 3 `forward_lstm_1`; the tensors always have the latter."""
    return name if not prefix or name.startswith(prefix) else prefix + name.removeprefix("forward_")


def _in_order(
    tables: list[Any], turns: list[int] | None, names: tuple[str, ...], places: tuple[str, ...], version: str
) -> Iterator[Described]:
    """The layers of a model, each under its class' name and its number among those of that class."""
    used: dict[str, int] = {}
    for index, table in enumerate(tables):
        kind = table.get("class_name") if type(table) is dict else None
        place = snake_case(kind) if type(kind) is str else ""
        number = used[place] = used.get(place, -1) + 1
        for one in _walk(table, names, (*places, f"{place}_{number}" if number else place), version):
            yield replace(one, turn=(turns[index], *one.turn) if turns is not None and one.turn is not None else None)


def _merge(config: Mapping[str, Any]) -> dict[str, str]:
    """How a Bidirectional makes one output of two, where it does not join them, as most do."""
    mode = config.get("merge_mode", "concat")
    return {} if mode == "concat" or type(mode) not in (str, type(None)) else {"merge_mode": safe(mode or "none", 20)}


def _both(
    table: Mapping[str, Any],
    config: Mapping[str, Any],
    names: tuple[str, ...],
    places: tuple[str, ...],
    version: str,
) -> Iterator[Described]:
    """Keras names the two `forward_` and `backward_`; the second turns around, whatever its own table says."""
    forward = config.get("layer")
    if type(forward) is not dict:
        return
    shape = {"build_config": table.get("build_config")}
    own = config.get("backward_layer")
    for one in _walk(shape | forward, names, (*places, "forward_layer"), version, "forward_"):
        yield replace(one, attributes={**one.attributes, "half": "forward"})
    if type(own) is dict:
        for one in _walk(shape | own, names, (*places, "backward_layer"), version):
            yield replace(one, attributes={**one.attributes, "half": "backward"})
        return
    for one in _walk(shape | forward, names, (*places, "backward_layer"), version, "backward_"):
        turned = {"go_backwards": not one.attributes.get("go_backwards", False), "half": "backward"}
        yield replace(one, attributes={**one.attributes, **turned})


def _described(
    kind: str,
    table: Mapping[str, Any],
    config: Mapping[str, Any],
    names: tuple[str, ...],
    places: tuple[str, ...],
    version: str,
) -> Described:
    config = {KERAS_1.get(key, key): value for key, value in config.items()}
    where = "/".join(names) or kind
    attributes: dict[str, Any] = {"keras_version": version} if version else {}
    if "units" in config:
        attributes["units"] = _units(config["units"], where)
    for flag in FLAGS:
        if flag in config:
            attributes[flag] = _flag(config[flag], flag, where)
    for option in ACTIVATIONS:
        if option in config:
            attributes[option] = _activation(config[option], option, where)
    return Described(kind, names, places, attributes, _declared(table, config))


def _units(value: Any, where: str) -> int:
    if type(value) is int and 1 <= value <= MAX_UNITS:
        return value
    raise _bad("units", where, f"a whole number from 1 to {MAX_UNITS}", value)


def _flag(value: Any, flag: str, where: str) -> bool:
    if type(value) is bool:
        return value
    raise _bad(flag, where, "true or false", value)


def _activation(value: Any, option: str, where: str) -> str:
    """Its name; a function that was stored whole is only told to be one."""
    if value is None:
        return "linear"
    if type(value) is str and len(value) <= 100:
        return value
    if type(value) is dict:
        inner = value.get("config")
        named = inner if type(inner) is str else value.get("class_name")
        return f"a function of its own ({safe(named, 40)})"
    raise _bad(option, where, "the name of a function", value)


def _bad(option: str, where: str, expected: str, found: Any) -> Exception:
    shown = safe(repr(found) if isinstance(found, str) else found, 60)
    return malformed("config", f"{option} of {safe(where)} is not one", expected=expected, found=shown)


def _declared(table: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    """`[null, 7, 3]`, where it was written down."""
    built = table.get("build_config")
    shape = built.get("input_shape") if type(built) is dict else None
    for found in (shape, config.get("batch_input_shape"), config.get("batch_shape")):
        if type(found) is list and len(found) == 3 and all(s is None or (type(s) is int and s > 0) for s in found):
            return tuple(found)
    return None


def _count_evaluated(value: Any, counts: dict[str, int]) -> None:
    """How often each class stands there that would run code of the file's own; the depth is bounded by the parser."""
    if type(value) is list:
        for part in value:
            _count_evaluated(part, counts)
    elif type(value) is dict:
        kind = value.get("class_name")
        if type(kind) is str and kind in EVALUATED:
            counts[kind] = counts.get(kind, 0) + 1
        for part in value.values():
            _count_evaluated(part, counts)


def snake_case(name: str) -> str:
    """How Keras turns a class' name into a group's: `SimpleRNN` → `simple_rnn`, `LSTMCell` → `lstm_cell`."""
    name = re.sub(r"\W+", "", name[:200])
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
