"""An optimizer's slots set apart: Adam keeps two arrays beside each parameter, with its shape and most of its name.

A slot is told by its name, and only where a tensor of the same shape stands beside it that is none: an LSTM that is
itself an optimizer keeps its weights.
"""

from __future__ import annotations

import re
from dataclasses import replace

from lstm_spec.layers.tensors import Tensors

# optimizer/vars/3 (Keras 3); optimizer_weights/Adam/m/… (Keras 2), opt_state/0/mu/… (Optax), optimizer.state.0.exp_avg
# (PyTorch); …/kernel/Adam_1 (TensorFlow 1); …/kernel/.OPTIMIZER_SLOT/m (TensorFlow 2); kernel_momentum (Keras 3);
# updater/optimizer:main/…/W/m (Chainer's snapshots).
METHODS = "adam|adamw|adamax|nadam|adagrad|adadelta|rmsprop|sgd|ftrl|lion|lamb|momentum|adafactor"
MOMENTS = r"m|v|vhat|mu|nu|ms|mom|rms|trace|momentum|velocity|accumulator|accum_var|delta_accum|exp_avg(_sq)?"
SLOT = re.compile(
    rf"""(?:.*[/.])? (?:
      (?:optimizer|optimizer_weights|optimizer_state|optimizer_state_dict|opt_state) [/.] .*
    | (?:updater/)? optimizer: [^/]+ / .*
    | (?:{METHODS}) (?:_\d+)? [/.] (?:{MOMENTS}) [/.] .*
    | (?:{METHODS}) [/.] .* _(?:{MOMENTS})
    | .* [/.] (?:{METHODS}) (?:_\d+)? (?::0)?
    | .* [/.] \.OPTIMIZER_SLOT [/.] .*
    | .* [/.] (?:{METHODS}) [/.] .*? (?:kernel|bias) [/.] (?:{MOMENTS}) (?::0)?
    | (?:{METHODS}) [/.] .*? (?:kernel|bias) [/.] (?:{MOMENTS}) (?::0)?
    | state \. \d+ \. (?!\d+$) [^.]+
    | (?:exp_avg(?:_sq)?|max_exp_avg_sq|exp_inf|momentum_buffer|square_avg|grad_avg|acc_delta|step_size)
    )""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
NUMBERED = re.compile(r"(?s)(?:.*\.)?state\.\d+\.[^.]+")  # optimizer.state_dict(): state.0.momentum_buffer
LONGEST = 1000  # of a name that is tried: what is longer is no slot


def is_slot(name: str) -> bool:
    """Whether a name is one that optimizers give."""
    return len(name) <= LONGEST and bool(SLOT.fullmatch(name))


def are_slots(tensors: Tensors) -> bool:
    """Whether nothing is there but what PyTorch's optimizers keep, of parameters that they only number."""
    return bool(tensors) and all(NUMBERED.fullmatch(name) for name in tensors)


def set_slots_apart(tensors: Tensors) -> tuple[Tensors, tuple[str, ...]]:
    """The tensors without an optimizer's, and the names of those. An ONNX model's operators say what is what."""
    named = set(filter(is_slot, tensors))
    if tensors.format == "onnx" or not named:
        return tensors, ()
    shapes = {tensor.shape for name, tensor in tensors.items() if name not in named}
    slots = tuple(name for name in tensors if name in named and tensors[name].shape in shapes)
    kept = {name: tensor for name, tensor in tensors.items() if name not in named or tensor.shape not in shapes}
    return replace(tensors, by_name=kept), slots
