"""What people use a recurrent layer for → the network: the task forms by name, around any layer.

| form | from | to |
|---|---|---|
| one-to-one | (B, n) | (B, m) |
| one-to-many | (B, n) | (S, B, m) |
| many-to-one | (T, B, n) | (B, m) |
| many-to-many | (T, B, n) | (T, B, m) |
| encoder-decoder | (T, B, n) and (S, B, m) | (S, B, m) |

The decoder reads its own sequence, in training the answer one step late; at inference its last answer is fed back with
`run.step`, in a network of the members after the encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lstm_spec.layers.layer import Layer
from lstm_spec.layers.modules import Activation, Dense, Input, Module, RepeatVector
from lstm_spec.layers.network import Network
from lstm_spec.layers.recurrent import Recurrent
from lstm_spec.layers.signals import read_choice

Members = dict[str, Layer | Module]


def build_form(
    form: str, layer: Layer, units: Any = "m", activation: Activation = "identity", steps: Any = "S"
) -> Network:
    """The network of a task form: the layer, and a dense head of `units` on what it gives.

    >>> from lstm_spec.layers.factory import lstm
    >>> print(build_form("many-to-one", lstm(5, 10), 3, "softmax"))
    member  module          takes      gives      parameters
    x       input                      (T, B, 5)
    layer   lstm, last      (T, B, 5)  (B, 10)    640
    head    dense, softmax  (B, 10)    (B, 3)     33
    parameters 673

    `steps` is S, where the form has it. The layer's layout is the network's; its output is the form's. Raises
    OptionError for a form that does not exist, and what `Network` raises.
    """
    read_choice("form", form, tuple(FORMS))
    members = FORMS[form](layer.with_(layout="time"), units, steps)
    return Network(layout=layer.layout, **members, head=Dense(units, activation))


def _one_to_one(layer: Layer, units: Any, steps: Any) -> Members:
    return {"step": RepeatVector(1), "layer": layer.with_(output="last")}


def _one_to_many(layer: Layer, units: Any, steps: Any) -> Members:
    return {"repeat": RepeatVector(steps), "layer": layer.with_(output="sequence")}


def _many_to_one(layer: Layer, units: Any, steps: Any) -> Members:
    return {"layer": layer.with_(output="last")}


def _many_to_many(layer: Layer, units: Any, steps: Any) -> Members:
    return {"layer": layer.with_(output="sequence")}


def _encoder_decoder(layer: Layer, units: Any, steps: Any) -> Members:
    rows = layer.cell.inputs[0].size[0]
    own = {str(rows): rows} if rows.is_Symbol and str(rows) in layer.sizes else {}
    decoder = Recurrent(layer.with_(output="sequence", **own), start="encoder")
    return {"encoder": layer.with_(output="last"), "target": Input(units, steps), "decoder": decoder}


FORMS: dict[str, Callable[[Layer, Any, Any], Members]] = {
    "one-to-one": _one_to_one,
    "one-to-many": _one_to_many,
    "many-to-one": _many_to_one,
    "many-to-many": _many_to_many,
    "encoder-decoder": _encoder_decoder,
}
