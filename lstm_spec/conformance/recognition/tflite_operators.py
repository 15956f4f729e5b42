"""A TFLite LSTM operator → a reading, or findings that name the option.

The slots are separate matrices for each gate; without the input gate's the operator is coupled, i = 1 - f. Gates are
always sigmoids; the fused activation is that of g and of c where h reads it. Source: tensorflow/lite/kernels,
lstm_eval.cc: o's peephole sees the clipped c; layer normalization is on each gate's whole sum, its gain then its bias.
All of it is compared with TFLite's interpreter in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.dialects.tflite import TFLITE
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Operator, float32_text

# The dialect's tensors, those of a second direction behind `reverse.`, as the operator's slots call them.
SLOTS = replace(
    TFLITE,
    pattern=re.compile(rf"(?s)(?P<prefix>)(?P<reverse>reverse\.)?{TFLITE.pattern.pattern.partition(')?)')[2]}"),
    template="{reverse}{tensor}",
    reversed_="reverse.",
    reverse_alone=True,
)
NAMES = {packing.parts[0]: packing.name for packing in TFLITE.packings}
ACTIVATIONS = {"tanh": "tanh", "relu": "relu"}
AUXILIARY = ("aux", *(f"{way}aux_W_{gate}" for way in ("", "reverse.") for gate in "ifgo"))


def read_slots(operator: Operator, at: str, findings: list[Finding]) -> Reading | None:
    """A TFLite operator as a reading; what this version cannot express becomes a finding, and None."""
    problems = list(_problems(operator, at))
    findings += problems
    if problems:
        return None
    said = operator.attributes
    both = operator.kind.startswith("BIDIRECTIONAL")
    cell = lstm_cell(LstmOptions(**_options(operator)))
    layer = Layer(cell, layout="time" if said.get("time_major", operator.kind == "LSTM") else "batch")
    layer = layer.with_(direction="both") if both else layer
    names = {}
    for slot, name in operator.tensors.items():
        way, _, own = slot.rpartition(".")
        if own in NAMES:
            names[f"{way}.{NAMES[own]}" if way else NAMES[own]] = name
    return Reading(operator.where, SLOTS, layer, names, operator)


def _options(operator: Operator) -> dict[str, Any]:
    """What the slots and the options say about the cell."""
    have, said = set(operator.tensors), operator.attributes
    activation = ACTIVATIONS[said.get("activation", "tanh")]
    options: dict[str, Any] = {"candidate_activation": activation, "output_activation": activation}
    options["bias"] = "one" if have & {"b_f", "b_g", "b_o"} else "none"
    options["peephole"] = bool(have & {"p_f", "p_o"})
    options["projection"] = "W_proj" in have
    options["projection_bias"] = "b_proj" in have
    options["layer_norm"] = "tflite" if have & {"s_f", "s_g", "s_o"} else "none"
    if not have & {"W_i", "U_i"}:
        options["coupled"] = "i=1-f"
    for option, name in (("clip_cell", "cell_clip"), ("clip_projection", "proj_clip")):
        if said.get(name, 0.0):
            options[option] = Fraction(float32_text(said[name]))
    return options


def _problems(operator: Operator, at: str) -> Iterator[Finding]:
    """What is not constant, and options that no layer of this version has."""
    if operator.absent:
        names = ", ".join(operator.absent)
        because = "the graph computes it, or a delegate keeps it"
        yield Finding("unread", f"{names} of {safe(operator.where)} is no constant", at, because=because)
    said = operator.attributes
    if (activation := said.get("activation", "tanh")) not in ACTIVATIONS:
        because = (
            "TFLite then computes h = o * g: nothing writes the buffer that h reads" if activation == "none" else ""
        )
        expected = ", ".join(ACTIVATIONS)
        yield Finding("unsupported", f"fused activation {safe(activation)}", at, expected, because=because)
    if said.get("diagonal"):
        yield Finding("unsupported", "the recurrent matrices are diagonal", at, "k×k matrices")
    if set(AUXILIARY) & {*operator.tensors, *operator.absent}:
        yield Finding("unsupported", "the layer has an auxiliary input", at, "x alone")
    for name in ("cell_clip", "proj_clip"):
        if not (said.get(name, 0.0) == 0 or 1e-9 <= said[name] <= 1e9):
            yield Finding(
                "option", f"{name} = {safe(said[name])} is no bound", at, "0, or a number from 1e-09 to 1e+09"
            )
    if said.get("proj_clip", 0.0) and "W_proj" not in operator.tensors:
        yield Finding("option", "proj_clip needs a projection, which the operator does not have", at)
