"""What an ONNX node LSTM says beside its tensors: activations, clip, coupling, direction; and a layer's attributes.

Source: the operator's schema, opsets 7 to 22; for the order in which numbers are consumed, ONNX Runtime 1.31.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.errors import Finding, OptionError
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.algebra import Call, Node

# The operator's activations → ours, and which numbers each takes with their defaults (those of the operators of these
# names; ONNX Runtime 1.31 has the same). They are consumed in the order of the functions, as ONNX Runtime does: a
# function that takes no alpha takes none from the list.
ACTIVATIONS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "sigmoid": ("sigmoid", {}),
    "tanh": ("tanh", {}),
    "relu": ("relu", {}),
    "softsign": ("softsign", {}),
    "softplus": ("softplus", {}),
    "hardsigmoid": ("hard_sigmoid", {"activation_alpha": 0.2, "activation_beta": 0.5}),
    "leakyrelu": ("leaky_relu", {"activation_alpha": 0.01}),
    "elu": ("elu", {"activation_alpha": 1.0}),
}
NAMES = ("Sigmoid", "Tanh", "Relu", "Softsign", "Softplus", "HardSigmoid", "LeakyRelu", "Elu")
OURS = {ACTIVATIONS[name.lower()][0]: name for name in NAMES}
DIRECTIONS = {"forward": "forward", "reverse": "reverse", "both": "bidirectional"}


def node_attributes(layer: Layer) -> dict[str, Any]:
    """The attributes of the node that computes what the layer does, sizes included.

    >>> from lstm_spec.layers.factory import lstm
    >>> node_attributes(lstm(3, 4, bias="two", coupled="f=1-i", bidirectional=True))
    {'hidden_size': 4, 'direction': 'bidirectional', 'input_forget': 1}

    What is the operator's default is left out. Numbers are rounded to float32, as the file holds them. Raises
    OptionError for a size that is open and for equations that the operator does not have.
    """
    if layer.open_letters:
        open_ = ", ".join(layer.open_letters)
        raise OptionError(Finding("size", f"{open_} must be numbers in an ONNX node", help="layer.at(n=5, k=10)"))
    functions = _functions(layer)
    clip = _clip(layer)
    coupled = str(layer.cell.defined.get("f")) == "f = 1 - i"
    _prove(layer, functions, clip, coupled)
    said: dict[str, Any] = {"hidden_size": int(layer.sizes["k"]), "direction": DIRECTIONS[layer.direction]}
    if [call.function for call in functions] != ["sigmoid", "tanh", "tanh"]:
        times = layer.directions
        said["activations"] = [OURS[call.function] for call in functions] * times
        numbers = list(_numbers(functions))
        for option in ("activation_alpha", "activation_beta"):
            if values := [value for name, value in numbers if name == option]:
                said[option] = values * times
    said |= {"clip": float(np.float32(float(clip)))} if clip else {}
    said |= {"input_forget": 1} if coupled else {}
    return said | ({"layout": 1} if layer.layout == "batch" else {})


def _functions(layer: Layer) -> list[Call]:
    """The activations of the gates, of the candidate, and of c where h reads it."""
    defined = layer.cell.defined
    found = [_outer(defined[name].expression) for name in ("o", "g") if name in defined]
    read = defined["h'"].expression if "h'" in defined else None
    found.append(next((a for a in read.operands if isinstance(a, Call)), None) if read is not None else None)
    calls = [call for call in found if call is not None and call.function in OURS]
    if len(calls) != 3:
        expected = f"o, g and h' with {', '.join(OURS)}"
        text = "; ".join(str(defined[name]) for name in ("o", "g", "h'") if name in defined)
        raise OptionError(Finding("dialect", "onnx has no such activations", expected=expected, found=text))
    return calls


def _outer(node: Node) -> Call | None:
    return node if isinstance(node, Call) else None


def _clip(layer: Layer) -> Fraction | None:
    """The bound of the pre-activations."""
    outer = _outer(layer.cell.defined["o"].expression)
    inner = outer.tensors[0] if outer else None
    return Fraction(str(inner.numbers[1])) if isinstance(inner, Call) and inner.function == "clip" else None


def _numbers(functions: list[Call]) -> Iterator[tuple[str, float]]:
    """Each function's numbers, by the attribute that they stand in."""
    for call in functions:
        names = ACTIVATIONS[OURS[call.function].lower()][1]
        for option, value in zip(names, call.numbers, strict=True):
            yield option, float(np.float32(float(value)))


def _text(call: Call) -> str:
    numbers = ", ".join(map(str, call.numbers))
    return f"{call.function}({numbers})" if numbers else call.function


def _prove(layer: Layer, functions: list[Call], clip: Fraction | None, coupled: bool) -> None:
    """Raises OptionError unless the cell that the attributes say is the layer's."""
    gate, candidate, output = map(_text, functions)
    parameters = layer.cell.parameters
    bias: Any = "two" if "b_Wg" in parameters else "one" if "b_g" in parameters else "none"
    options = LstmOptions(
        bias=bias,
        peephole="p_o" in parameters,
        coupled="f=1-i" if coupled else None,
        clip=clip,
        gate_activation=gate,
        candidate_activation=candidate,
        output_activation=output,
    )
    theirs, ours = lstm_cell(options).defined, layer.cell.defined
    differing = [name for name in (*ours, *theirs) if ours.get(name) != theirs.get(name)]
    if differing:
        name = differing[0]
        expected, found = (str(cell.get(name, f"no {name}")) for cell in (theirs, ours))
        raise OptionError(Finding("dialect", f"onnx computes another {name}", "", expected, found))
    if not layer.realign and layer.direction != "forward":
        raise OptionError(
            Finding("dialect", "onnx gives reversed outputs in the order of the input", found="realign=False")
        )
