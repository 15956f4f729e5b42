"""Tensors in no reading that look recurrent → findings, one for all in one place, so that none pass in silence.

A name is looked at, never a value. What is known to stand between a layer and its reading (a weight norm, a pruning
mask, quantized weights) is told with the way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set

from lstm_spec.conformance.readings import place
from lstm_spec.conformance.slots import is_slot
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Tensors

OPERATOR_FORMATS = ("onnx", "tflite")  # whose operators say what is recurrent
LOOKS_RECURRENT = re.compile(r"lstm|gru|rnn|recurrent|weight_[ih]h|hidden_to_hidden", re.IGNORECASE)
# Names that nothing but a recurrent layer has, whatever their shape and whatever the operators are. The last two are a
# quantized LSTM of PyTorch (torch/ao/nn/quantized/dynamic/modules/rnn.py) and Flax's GRU (flax/linen/recurrent.py).
SURELY_RECURRENT = re.compile(
    r"""(.*[^A-Za-z])? (
      (weight|bias)_(ih|hh|hr)(_l\d+(_reverse)?)?
    | recurrent_kernel(:0)?
    | _all_weight_values\..*
    | h[rz]/kernel
    )""",
    re.DOTALL | re.VERBOSE,
)
# The part of a name that says which tensor it is: what stands before it says where.
TENSOR = re.compile(r"(?:weight|bias)_[ih][hr]|recurrent_kernel|_all_weight_values|parametrizations$|h[rz]$")
PART = re.compile(r"[^./]+")
WAYS_OUT = (
    (r"parametrizations\.", "fold it in before saving: torch.nn.utils.parametrize.remove_parametrizations"),
    (r"weight_\w+_l\d+(_reverse)?_[gv]$", "fold it in before saving: torch.nn.utils.remove_weight_norm"),
    (r"weight_\w+_l\d+(_reverse)?_(orig|mask)$", "fold it in before saving: torch.nn.utils.prune.remove"),
    (r"_all_weight_values\.", "these weights are quantized; save the model as it was before quantize_dynamic"),
)
MOST = 6  # of the tensors of one place that are listed


def tell_suspects(
    names: Iterable[str], tensors: Tensors, told: Set[str], asked: str = ""
) -> Iterator[tuple[Finding, list[str]]]:
    """For each place the finding `unread` and the tensors that it tells of, none of them in `told`.

    `asked` is the dialect that alone was tried.
    """
    places: dict[str, list[str]] = {}
    for name in names:
        if name not in told and _is_suspect(name, tensors):
            places.setdefault(_place_of(name), []).append(name)
    for where, found in places.items():
        yield _looks_recurrent(where, found, tensors, asked), found


def _is_suspect(name: str, tensors: Tensors) -> bool:
    """An ONNX model's operators say what is recurrent; elsewhere a matrix with a telling name is."""
    if SURELY_RECURRENT.fullmatch(name):
        return not (tensors.format in OPERATOR_FORMATS and any(operator.absent for operator in tensors.operators))
    if is_slot(name):
        return False
    telling = tensors.format not in OPERATOR_FORMATS and bool(LOOKS_RECURRENT.search(name))
    return telling and len(tensors[name].shape) >= 2


def _place_of(name: str) -> str:
    """`enc` of `enc.weight_hh_l0_g`, `GRUCell_0` of `GRUCell_0/hn/kernel`: what the tensors of one layer share."""
    parts = list(PART.finditer(name))
    if part := next((part for part in parts if TENSOR.match(part[0])), None):
        return name[: part.start()].rstrip("./")
    part = next((part for part in reversed(parts[:-1]) if LOOKS_RECURRENT.search(part[0])), None)
    return name[: part.end()] if part else name


def _looks_recurrent(where: str, names: list[str], tensors: Tensors, asked: str) -> Finding:
    verdict, expected = "no dialect reads it", "the names of a dialect: lstm-spec dialects lists them"
    help = "name the dialect with --dialect, or rename the tensors"
    if asked:
        verdict, expected = f"{asked} has no such names", f"the names of {asked}: lstm-spec dialects show {asked}"
        help = "another dialect, or none, for all of them"
    if tensors.format in OPERATOR_FORMATS:
        verdict, expected, help = "no operator reads it", "an operator LSTM that has it as a constant", ""
    help = next((way for known, way in WAYS_OUT if any(re.search(known, name) for name in names)), help)
    if len(names) == 1:
        message = f"{safe(names[0])} looks recurrent by its name, and {verdict}"
        return Finding("unread", message, f"{place(tensors, names[0])} {tensors[names[0]].shape}", expected, help=help)
    listed = [f"{safe(name, 60)} {tensors[name].shape}" for name in names[:MOST]]
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    message = f"{safe(where or tensors.origin)} looks recurrent by its {len(names)} names, and {verdict}"
    return Finding(
        "unread", message, place(tensors, where or tensors.origin), expected, ", ".join(listed) + more, help=help
    )
