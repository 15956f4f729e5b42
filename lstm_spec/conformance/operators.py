"""What an operator or a live layer says of itself → a reading, or findings that name the option.

Names in a file cannot tell an activation or a direction; an ONNX node and a live layer can. An option that this version
has no equation for is never dropped: it is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.conformance.readings import Reading
from lstm_spec.dialects.onnx import ONNX
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer, Layout
from lstm_spec.layers.tensors import Operator

ROLES = ("W", "R", "B", "P")
STATES = ("initial_h", "initial_c")
DIRECTIONS = {"forward": "forward", "reverse": "reverse", "bidirectional": "both"}
KERAS_PLAIN = {"activation": "tanh", "recurrent_activation": "sigmoid"}
# The operator's attributes, opsets 1 to 22, and the type of each.
ATTRIBUTES: Mapping[str, tuple[type, str]] = {
    "activation_alpha": (list, "a list"),
    "activation_beta": (list, "a list"),
    "activations": (list, "a list"),
    "clip": (float, "a number"),
    "direction": (str, "a text"),
    "hidden_size": (int, "a whole number"),
    "input_forget": (int, "a whole number"),
    "layout": (int, "a whole number"),
    "output_sequence": (int, "a whole number"),
}


def apply_live_options(layer: Layer, operator: Operator | None, at: str) -> tuple[Layer, list[Finding]]:
    """The layer as its live counterpart runs: layout, direction and output; and what cannot be expressed."""
    if operator is None:
        return layer, []
    said = operator.attributes
    problems = [
        Finding("unsupported", f"{option} = {safe(said[option])}", at, plain, help="this version has no such option")
        for option, plain in KERAS_PLAIN.items()
        if option in said and said[option] != plain
    ]
    if "batch_first" in said:
        layer = layer.with_(layout="batch" if said["batch_first"] else "time")
    if said.get("go_backwards"):
        layer = layer.with_(direction="reverse", realign=False)
    if said.get("return_sequences") is False:
        layer = layer.with_(output="last")
    return layer, problems


def read_node(operator: Operator, at: str, findings: list[Finding]) -> Reading | None:
    """An ONNX node as a reading; what this version cannot express becomes a finding, and None."""
    problems = list(_unreadable(operator, at)) or list(_unsupported(operator, at))
    findings += problems
    if problems:
        return None
    attributes = operator.attributes
    layout: Layout = "batch" if attributes.get("layout", 0) == 1 else "time"
    options = ONNX.options(set(operator.tensors))
    direction = DIRECTIONS[attributes.get("direction", "forward")]
    layer = Layer(lstm_cell(LstmOptions(**options)), layout=layout).with_(direction=direction)
    names = {role: operator.tensors[role] for role in ROLES if role in operator.tensors}
    axes = ("B", "D", "k") if layout == "batch" else ("D", "B", "k")
    shapes = {**dict.fromkeys(STATES, axes), "sequence_lens": ("B",)}
    constants = {operator.tensors[role]: shape for role, shape in shapes.items() if role in operator.tensors}
    if "sequence_lens" in (*operator.tensors, *operator.absent):
        findings.append(_lengths(operator, at))
    return Reading(operator.where, ONNX, layer, names, operator, constants)


def _unreadable(operator: Operator, at: str) -> Iterator[Finding]:
    """Why the node is no LSTM with weights to read."""
    if operator.kind != "LSTM":
        yield Finding("unread", f"{safe(operator.where)} is a {operator.kind}; this version reads LSTMs", at=at)
        return
    if computed := [role for role in ROLES if role in operator.absent]:
        yield Finding(
            "unread",
            f"{', '.join(computed)} of {safe(operator.where)} {'is' if len(computed) == 1 else 'are'} no constant",
            at=at,
            because="the graph computes it at run time, from other tensors",
            help="fold the constants (onnx-simplifier, or ONNX Runtime's offline optimizer) and check the result",
        )
        return
    for role in ("W", "R"):
        if role not in operator.tensors:
            yield Finding("missing", f"{safe(operator.where)} has no input {role}", at, "X, W and R")


def _lengths(operator: Operator, at: str) -> Finding:
    return Finding(
        "lengths",
        f"{safe(operator.where)} takes sequence_lens; this version runs every sample to the end",
        at=at,
        help="the numbers are those of samples that are all as long as the input",
        severity="warning",
    )


def _unsupported(operator: Operator, at: str) -> Iterator[Finding]:
    """Attributes that change the equations in a way this version has no option for, or that are no values at all."""
    attributes = operator.attributes
    for name, value in attributes.items():
        if name not in ATTRIBUTES:
            yield Finding("option", f"{safe(name)} is no attribute of LSTM", at, ", ".join(ATTRIBUTES), safe(value))
        elif not isinstance(value, ATTRIBUTES[name][0]):
            yield Finding("option", f"{name} = {safe(value)} has another type", at, ATTRIBUTES[name][1])
            return
    direction = attributes.get("direction", "forward")
    if direction not in DIRECTIONS:
        yield Finding("option", f"direction = {safe(direction)}", at, ", ".join(DIRECTIONS))
    plain = ["sigmoid", "tanh", "tanh"] * (2 if direction == "bidirectional" else 1)
    named = [str(a).lower() for a in attributes.get("activations") or plain]
    if named != plain:
        yield Finding("unsupported", f"activations {safe(attributes['activations'])}", at, ", ".join(plain))
    if "clip" in attributes:
        yield Finding("unsupported", f"clip = {safe(attributes['clip'])} on the pre-activations", at, "no clip")
    if attributes.get("input_forget"):
        yield Finding("unsupported", "input_forget = 1 couples the gates and leaves the forget block unread", at, "0")
    if attributes.get("layout", 0) not in (0, 1):
        yield Finding("option", f"layout = {safe(attributes['layout'])}", at, "0 or 1")
    if "hidden_size" not in attributes:
        because = "ONNX Runtime refuses a node without it"
        yield Finding("option", f"{safe(operator.where)} does not say its hidden_size", at, because=because)
