"""What an operator or a live layer says of itself → a reading, or findings that name the option.

Names in a file cannot tell an activation or a direction; an ONNX node and a live layer can. An option that this version
has no equation for is never dropped: it is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.checkpoints.onnx.folding import GIVEN
from lstm_spec.conformance.recognition.readings import KINDS, Reading
from lstm_spec.dialects.native import NATIVE
from lstm_spec.dialects.onnx import ONNX, QUANTIZED_ONNX
from lstm_spec.dialects.onnx_node import ACTIVATIONS
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.options import Layout
from lstm_spec.layers.tensors import Operator, float32_text

ROLES = ("W", "R", "B", "P")
STATES = ("initial_h", "initial_c")
QUANTIZED = "DynamicQuantizeLSTM"
SCALES = ("W_scale", "W_zero_point", "R_scale", "R_zero_point")  # one for each direction, or for each of its columns
DIRECTIONS = {"forward": "forward", "reverse": "reverse", "bidirectional": "both"}
# The operator's attributes, opsets 1 to 22, and the type of each; and those that not every opset has.
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
SINCE: Mapping[str, int] = {"layout": 14}
UNTIL: Mapping[str, int] = {"output_sequence": 6}
FOLD = "fold the constants (onnx-simplifier, or ONNX Runtime's offline optimizer) and check the result"
EXPORT = (
    "export the weights into the model (torch.onnx.export with export_params=True), or check the file that has them"
)
AT_RUN_TIME = "the graph computes it at run time, from other tensors"
PLAIN = ("Sigmoid", "Tanh", "Tanh")  # f, g and h of one direction
OPTIONS = ("gate_activation", "candidate_activation", "output_activation")
SMALLEST, LARGEST = 1e-9, 1e9  # of a number in a node, but for 0: the equation language bounds the digits
REFUSED = "ONNX Runtime refuses a node with an attribute that its operator does not have"
DROP = "leave the attribute out, or declare the opset that has it"
RANGE = f"a number from {SMALLEST:g} to {LARGEST:g}"


def apply_live_options(layer: Layer, operator: Operator | None) -> Layer:
    """The layer as its counterpart says that it runs: layout, direction and output."""
    said = operator.attributes if operator else {}
    if said.get("time_major"):
        layer = layer.with_(layout="time")
    if "batch_first" in said:
        layer = layer.with_(layout="batch" if said["batch_first"] else "time")
    if said.get("go_backwards"):
        layer = layer.with_(direction="reverse", realign=bool(said.get("keep_order")))
    if said.get("return_sequences") is False:
        layer = layer.with_(output="last")
    return layer


def read_node(operator: Operator, at: str, findings: list[Finding]) -> Reading | None:
    """An ONNX node as a reading; what this version cannot express becomes a finding, and None."""
    if operator.kind == "LSTM cell":
        return _read_cell(operator)
    problems = list(_unreadable(operator, at)) or list(_unsupported(operator, at))
    findings += problems
    if problems:
        return None
    attributes = operator.attributes
    layout: Layout = "batch" if attributes.get("layout", 0) == 1 else "time"
    options = ONNX.options(set(operator.tensors)) | _options(attributes)
    direction = DIRECTIONS[attributes.get("direction", "forward")]
    layer = Layer(lstm_cell(LstmOptions(**options)), layout=layout).with_(direction=direction)
    names = {role: operator.tensors[role] for role in ROLES if role in operator.tensors}
    axes = ("B", "D", "k") if layout == "batch" else ("D", "B", "k")
    shapes = {**dict.fromkeys(STATES, axes), "sequence_lens": ("B",)}
    dialect = QUANTIZED_ONNX if operator.kind == QUANTIZED else ONNX
    if operator.kind == QUANTIZED:
        each = {role: len(operator.declared.get(role, ())) == 2 for role in SCALES}
        shapes |= {role: ("D", "4*k") if each[role] else ("D",) for role in SCALES}
    constants = {operator.tensors[role]: shape for role, shape in shapes.items() if role in operator.tensors}
    if "sequence_lens" in (*operator.tensors, *operator.absent):
        findings.append(_lengths(operator, at))
    return Reading(operator.where, dialect, layer, names, operator, constants)


def _read_cell(operator: Operator) -> Reading:
    """An LSTM that a graph writes out in simple nodes: its matrices and biases, gate by gate, and its options."""
    said: dict[str, Any] = {"bias": "one" if "b_g" in operator.tensors else "none", **operator.attributes}
    said |= {name: Fraction(said[name]) for name in ("clip", "clip_cell") if name in said}
    layer = Layer(lstm_cell(LstmOptions(**said)))
    return Reading(operator.where, NATIVE, layer, {f"l0.{n}": key for n, key in operator.tensors.items()}, operator)


def _unreadable(operator: Operator, at: str) -> Iterator[Finding]:
    """Why the node is no LSTM with weights to read."""
    if operator.kind not in ("LSTM", QUANTIZED):
        kind = KINDS.get(operator.kind, operator.kind)
        yield Finding("unread", f"{safe(operator.where)} is a {kind}; this version reads LSTMs", at=at)
        return
    if computed := [role for role in ROLES if role in operator.absent]:
        yield _no_constants(operator, computed, at)
        return
    for role in ("W", "R", *(SCALES if operator.kind == QUANTIZED else ())):
        if role not in operator.tensors:
            yield Finding("missing", f"{safe(operator.where)} has no input {role}", at, "X, W and R")


def _no_constants(operator: Operator, roles: list[str], at: str) -> Finding:
    """What is wanted is made by nodes, which can be folded; or given to the model, where nothing can."""
    by_reason: dict[str, list[str]] = {}
    for role in roles:
        by_reason.setdefault(operator.reasons.get(role, AT_RUN_TIME), []).append(role)
    told = [_of_several(reason) if len(own) > 1 else reason for reason, own in by_reason.items()]
    if len(told) > 1:
        told = [f"{', '.join(own)}: {reason}" for own, reason in zip(by_reason.values(), told, strict=True)]
    are = "is no constant" if len(roles) == 1 else "are no constants"
    message = f"{', '.join(roles)} of {safe(operator.where)} {are}"
    help = "\n".join([EXPORT] * (GIVEN in by_reason) + [FOLD] * bool(set(by_reason) - {GIVEN}))
    return Finding("unread", message, at, because="; ".join(told), help=help)


def _of_several(reason: str) -> str:
    return (
        reason.replace("it is ", "they are ", 1)
        .replace("makes it ", "makes them ", 1)
        .replace("computes it ", "computes them ", 1)
    )


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
    known = [name for name in ATTRIBUTES if has_attribute(operator, name)]
    for name, value in attributes.items():
        if name not in ATTRIBUTES or (name not in known and operator.kind == QUANTIZED):
            message = f"{safe(name)} is no attribute of {operator.kind}"
            yield Finding("option", message, at, ", ".join(known), safe(value), REFUSED, "leave the attribute out")
        elif name not in known:
            opsets = f"opset {SINCE[name]} or later" if name in SINCE else f"opset {UNTIL[name]} or earlier"
            message = f"{name} is no attribute of LSTM at opset {operator.opset}"
            yield Finding("option", message, at, opsets, safe(value), REFUSED, DROP)
        elif not isinstance(value, ATTRIBUTES[name][0]):
            yield Finding("option", f"{name} = {safe(value)} has another type", at, ATTRIBUTES[name][1])
            return
    direction = attributes.get("direction", "forward")
    if direction not in DIRECTIONS:
        yield Finding("option", f"direction = {safe(direction)}", at, ", ".join(DIRECTIONS))
    else:
        yield from _bad_activations(attributes, at)
    if "clip" in attributes and not (attributes["clip"] > 0 and _is_in_range(attributes["clip"])):
        yield Finding("option", f"clip = {safe(attributes['clip'])} is no bound", at, RANGE)
    if attributes.get("input_forget", 0) not in (0, 1):
        yield Finding("option", f"input_forget = {safe(attributes['input_forget'])}", at, "0 or 1")
    if attributes.get("layout", 0) not in (0, 1):
        yield Finding("option", f"layout = {safe(attributes['layout'])}", at, "0 or 1")
    if "hidden_size" not in attributes:
        because = "ONNX Runtime refuses a node without it"
        yield Finding("option", f"{safe(operator.where)} does not say its hidden_size", at, because=because)


def has_attribute(operator: Operator, attribute: str) -> bool:
    """Whether the operator has an attribute at the graph's opset; ONNX Runtime's own has none of those that changed."""
    if operator.kind == QUANTIZED:
        return attribute not in (*SINCE, *UNTIL)
    opset = operator.opset
    return not opset or SINCE.get(attribute, 0) <= opset <= UNTIL.get(attribute, opset)


def _bad_activations(attributes: Mapping[str, Any], at: str) -> Iterator[Finding]:
    """Why the activations are none that one cell for all directions can have."""
    named = _activations(attributes)
    directions = _directions(attributes)
    shown = f"activations {safe(named)}"
    if len(named) != 3 * directions:
        expected = "3: of the gates, of the candidate, of the cell"
        yield Finding("option", shown, at, expected + (", twice" if directions == 2 else ""), f"{len(named)}")
        return
    if unknown := [name for name in named if str(name).lower() not in ACTIVATIONS]:
        known = ", ".join(ACTIVATIONS)
        help = "this version has no option for it; the equations of a cell of your own can say it"
        yield Finding("unsupported", f"activation {', '.join(map(safe, unknown))}", at, known, help=help)
        return
    for option in ("activation_alpha", "activation_beta"):
        if bad := [n for n in attributes.get(option, []) if not _is_number(n)]:
            yield Finding("option", f"{option} has {', '.join(map(safe, bad))}", at, f"{RANGE}, 0, or below 0 likewise")
            return
    read = _read_activations(attributes)
    if read[:3] != read[-3:]:
        because = f"forward {', '.join(read[:3])}; reverse {', '.join(read[3:])}"
        help = "a layer has one cell for both directions"
        yield Finding("unsupported", f"{shown} differ between the directions", at, because=because, help=help)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and (value == 0 or _is_in_range(value))


def _is_in_range(value: float) -> bool:
    return SMALLEST <= abs(float(float32_text(value))) <= LARGEST


def _directions(attributes: Mapping[str, Any]) -> int:
    return 2 if attributes.get("direction") == "bidirectional" else 1


def _activations(attributes: Mapping[str, Any]) -> list[Any]:
    return attributes.get("activations") or [*PLAIN] * _directions(attributes)


def _read_activations(attributes: Mapping[str, Any]) -> list[str]:
    """Three a direction as options have them: `hard_sigmoid(0.2, 0.5)`, with the numbers of the node."""
    given = {option: iter(attributes.get(option, [])) for option in ("activation_alpha", "activation_beta")}
    read = []
    for name in _activations(attributes):
        function, defaults = ACTIVATIONS[str(name).lower()]
        numbers = [float32_text(next(given[option], default)) for option, default in defaults.items()]
        read.append(f"{function}({', '.join(numbers)})" if numbers else function)
    return read


def _options(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a node's attributes say about the cell.

    `clip` holds the inputs of the gates and the candidate; ONNX Runtime leaves the cell, the input of h, as it is.
    """
    options: dict[str, Any] = dict(zip(OPTIONS, _read_activations(attributes)[:3], strict=True))
    if "clip" in attributes:
        options["clip"] = Fraction(float32_text(attributes["clip"]))
    if attributes.get("input_forget"):
        options["coupled"] = "f=1-i"
    return options
