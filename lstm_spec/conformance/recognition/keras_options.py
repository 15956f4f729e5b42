"""What a Keras layer or its configuration says of its activations → options of the cell, and findings in words.

A layer with hard_sigmoid is read as its own Keras computes it; that the name is another function in another Keras is
told each time, for it is a wrong number without an error when the weights move.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lstm_spec.dialects.keras_activations import FUNCTIONS, HARD_SIGMOID, function_of, major_version
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Operator

# Keras's option → ours: its `activation` is that of the candidate, and of c' where h reads it.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "activation": ("candidate_activation", "output_activation"),
    "recurrent_activation": ("gate_activation",),
}


def read_keras_options(operator: Operator | None, at: str) -> tuple[dict[str, Any], list[Finding]]:
    """The cell's options that the operator says, and what there is to say about them."""
    options: dict[str, Any] = {}
    findings: list[Finding] = []
    said = operator.attributes if operator else {}
    version = str(said.get("keras_version", ""))
    if "use_bias" in said:
        options["bias"] = "one" if said["use_bias"] else "none"
    for option, ours in OPTIONS.items():
        if option not in said:
            continue
        name = said[option]
        function = function_of(name, version) if isinstance(name, str) else None
        if function is None:
            findings.append(_no_option(option, name, at))
        else:
            options |= dict.fromkeys(ours, function)
            findings += [_two_functions(option, version, at)] * (name == HARD_SIGMOID)
    return options, findings


def _no_option(option: str, name: object, at: str) -> Finding:
    if name == HARD_SIGMOID:
        because = "it is clip(0.2 z + 0.5, 0, 1) in Keras 1 and 2, clip(z / 6 + 0.5, 0, 1) in Keras 3"
        help = "the file does not say which Keras wrote it (keras_version)"
        return Finding("unsupported", f"{option} = {HARD_SIGMOID} names two functions", at, because=because, help=help)
    known = ", ".join((*FUNCTIONS, HARD_SIGMOID))
    return Finding("unsupported", f"{option} = {safe(name)}", at, known, help="this version has no such option")


def _two_functions(option: str, version: str, at: str) -> Finding:
    """A warning for an old file, which a newer Keras loads without a word; a note for a new one."""
    is_old = (major_version(version) or 0) < 3
    old, new = "clip(0.2 z + 0.5, 0, 1)", "clip(z / 6 + 0.5, 0, 1)"
    here, there, others = (old, new, "Keras 3") if is_old else (new, old, "Keras 1 and 2")
    return Finding(
        "hard-sigmoid",
        f"{option} = {HARD_SIGMOID} is {here} here, as in Keras {safe(version, 20)}",
        at,
        because=f"under the same name, {others} {'computes' if is_old else 'compute'} {there}: other numbers, no error",
        help="write the function out where the weights go: hard_sigmoid(1/5, 1/2) or hard_sigmoid(1/6, 1/2)",
        severity="warning" if is_old else "note",
    )
