"""The activations that Keras names → functions of the equation language, by the Keras that wrote the name.

One name is two functions: hard_sigmoid. Sources: keras/activations.py of Keras 1.2.2 and keras/backend/*.py of 2.3
(0.2 z + 0.5), keras/src/activations/activations.py and backend/torch/nn.py of 3.15 (z / 6 + 0.5).
"""

from __future__ import annotations

import re

FUNCTIONS = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "linear": "identity",
    "softplus": "softplus",
    "softsign": "softsign",
    "exponential": "exp",
    "elu": "elu(1)",
    "leaky_relu": "leaky_relu(0.2)",
}
HARD_SIGMOID = "hard_sigmoid"
HARD_SIGMOIDS = {"old": "hard_sigmoid(1/5, 1/2)", "new": "hard_sigmoid(1/6, 1/2)"}
MAJOR = re.compile(r"(\d{1,4})\.")


def major_version(version: str) -> int | None:
    """The first number of `2.2.4-tf`; None where the version is not known."""
    match = MAJOR.match(version)
    return int(match.group(1)) if match else None


def function_of(name: str, version: str) -> str | None:
    """What a Keras of that version computes under the name, as an option; None where there is no option for it."""
    major = major_version(version)
    if name == HARD_SIGMOID and major is not None:
        return HARD_SIGMOIDS["old" if major < 3 else "new"]
    return FUNCTIONS.get(name)
