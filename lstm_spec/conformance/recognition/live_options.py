"""What an operator or a live layer says of its equations → options of the cell, and findings in words.

Keras and Flax call their functions by names; a function that our equations have not is `unsupported`, by its name, and
so is a class that computes in its own way: nothing is taken for what it is by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lstm_spec.conformance.recognition.keras_options import read_keras_options
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Operator

# Flax's option → ours: `activation_fn` is that of the candidate, and of c' where h reads it.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "activation_fn": ("candidate_activation", "output_activation"),
    "gate_fn": ("gate_activation",),
}
# Source: jax/_src/nn/functions.py, JAX 0.10; each was run.
FUNCTIONS: Mapping[str, str] = {
    "sigmoid": "sigmoid",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "hard_sigmoid": "hard_sigmoid(1/6, 1/2)",
    "hard_tanh": "clip(-1, 1)",
    "relu6": "clip(0, 6)",
    "leaky_relu": "leaky_relu(0.01)",
    "elu": "elu(1)",
    "softplus": "softplus",
    "soft_sign": "softsign",
    "identity": "identity",
}


def read_options(operator: Operator | None, at: str) -> tuple[dict[str, Any], list[Finding]]:
    """The cell's options that the operator or the live layer says, and what there is to say about them."""
    options, findings = read_keras_options(operator, at)
    said = operator.attributes if operator else {}
    for option, ours in OPTIONS.items():
        if option in said and said[option] in FUNCTIONS:
            options |= dict.fromkeys(ours, FUNCTIONS[said[option]])
        elif option in said:
            known = ", ".join(FUNCTIONS)
            message = f"{option} = {safe(said[option], 60)}"
            findings.append(Finding("unsupported", message, at, known, help="this version has no such option"))
    return options, [*findings, *_other_computations(said, at)]


def _other_computations(said: Mapping[str, Any], at: str) -> Iterator[Finding]:
    """Why the tensors alone do not say what the live layer computes."""
    if "overrides" in said:
        message = f"{safe(said['overrides'], 60)} is somebody's own: what it computes is code, and is not read"
        help = "hand over its arrays as a dict, to read them as those of a plain layer"
        yield Finding("unsupported", message, at, help=help)
    if "shared" in said:
        message = f"one cell is run by {safe(said['shared'])}, each in its own way"
        yield Finding("unsupported", message, at, help="hand over one of them alone")
