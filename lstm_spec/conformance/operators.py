"""What an operator or a live layer says of itself → a reading, or findings that name the option.

Names in a file cannot tell an activation or a direction; an ONNX node and a live layer can. An option that this version
has no equation for is never dropped: it is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.conformance.readings import Reading
from lstm_spec.dialects.onnx import ONNX
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Operator

ROLES = ("W", "R", "B", "P")
DIRECTIONS = {"forward": "forward", "reverse": "reverse", "bidirectional": "both"}
KERAS_PLAIN = {"activation": "tanh", "recurrent_activation": "sigmoid"}


def apply_live_options(layer: Layer, operator: Operator | None, at: str) -> tuple[Layer, list[Finding]]:
    """The layer as its live counterpart runs: layout and direction; and what cannot be expressed."""
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
    return layer, problems


def read_node(operator: Operator, at: str, findings: list[Finding]) -> Reading | None:
    """An ONNX node as a reading; what this version cannot express becomes a finding, and None."""
    if operator.kind != "LSTM":
        findings.append(Finding("unread", f"{safe(operator.where)} is a {operator.kind}; this version reads LSTMs", at=at))
        return None
    computed = [role for role in ROLES if role in operator.absent]
    if computed:
        findings.append(
            Finding(
                "unread",
                f"{', '.join(computed)} of {safe(operator.where)} {'is' if len(computed) == 1 else 'are'} no constant",
                at=at,
                because="the graph computes it at run time, from other tensors",
                help="fold the constants (onnx-simplifier, or ONNX Runtime's offline optimizer) and check the result",
            )
        )
        return None
    problems = list(_unsupported(operator, at))
    problems += [
        Finding("missing", f"{safe(operator.where)} has no input {role}", at, "X, W and R")
        for role in ("W", "R")
        if role not in operator.tensors
    ]
    findings += problems
    if problems:
        return None
    direction = DIRECTIONS[operator.attributes.get("direction", "forward")]
    layout = "batch" if operator.attributes.get("layout", 0) == 1 else "time"
    options = ONNX.options(set(operator.tensors))
    layer = Layer(lstm_cell(LstmOptions(**options)), direction=direction, layout=layout)  # type: ignore[arg-type]
    names = {role: operator.tensors[role] for role in ROLES if role in operator.tensors}
    states = ("B", "D", "k") if layout == "batch" else ("D", "B", "k")
    constants = {operator.tensors[r]: states for r in ("initial_h", "initial_c") if r in operator.tensors}
    return Reading(operator.where, ONNX, layer, names, operator, constants)


def _unsupported(operator: Operator, at: str) -> Iterator[Finding]:
    """Attributes that change the equations in a way this version has no option for, or that are no values at all."""
    attributes = operator.attributes
    plain = ["sigmoid", "tanh", "tanh"]
    named = [str(a).lower() for a in attributes.get("activations", [])]
    if named not in ([], plain, plain * 2):
        yield Finding("unsupported", f"activations {safe(attributes['activations'])}", at, ", ".join(plain))
    if attributes.get("clip"):
        yield Finding("unsupported", f"clip = {safe(attributes['clip'])} on the pre-activations", at, "no clip")
    if attributes.get("input_forget"):
        yield Finding("unsupported", "input_forget = 1 couples the gates and leaves the forget block unread", at, "0")
    if attributes.get("direction", "forward") not in DIRECTIONS:
        yield Finding("option", f"direction = {safe(attributes['direction'])}", at, ", ".join(DIRECTIONS))
    if attributes.get("layout", 0) not in (0, 1):
        yield Finding("option", f"layout = {safe(attributes['layout'])}", at, "0 or 1")
