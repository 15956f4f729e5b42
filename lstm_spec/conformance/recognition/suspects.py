"""Tensors in no reading that look recurrent → findings, one for all in one place, so that none pass in silence.

A name is looked at, never a value. What is known to stand between a layer and its reading (a weight norm, a pruning
mask, quantized weights) is told with the way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from lstm_spec.conformance.recognition.readings import Unread, place
from lstm_spec.conformance.recognition.slots import is_slot
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Tensors
from lstm_spec.phrases import shortened

OPERATOR_FORMATS = ("onnx", "tflite")  # whose operators say what is recurrent
LOOKS_RECURRENT = re.compile(r"lstm|gru|rnn|recurrent|weight_[ih]h|hidden_to_hidden", re.IGNORECASE)
# Names that nothing but a recurrent layer has, whatever their shape and whatever the operators are. The last two are a
# quantized layer or cell of PyTorch (torch/ao/nn/quantized/dynamic/modules/rnn.py) and Flax's GRU
# (flax/linen/recurrent.py).
SURELY_RECURRENT = re.compile(
    r"""(.*[^A-Za-z])? (
      (weight|bias)_(ih|hh|hr)(_l\d+(_reverse)?)?
    | recurrent_kernel(:0)?
    | (_all_weight_values|_packed_weight_[ih]h)\..*
    | h[rz]/kernel
    )""",
    re.DOTALL | re.VERBOSE,
)
# The part of a name that says which tensor it is: what stands before it says where.
TENSOR = re.compile(
    r"(?:weight|bias)_[ih][hr]|recurrent_kernel|_all_weight_values|_packed_weight|parametrizations$|h[rz]$"
)
PART = re.compile(r"[^./]+")
QUANTIZED = re.compile(r"(_all_weight_values|_packed_weight_[ih]h)\.")
SAVE_BEFORE = "these weights are quantized; save the model as it was before quantize_dynamic"
# A weight that PyTorch keeps in parts, `weight_hh_l0_orig` and others, until it is folded in: by the endings that must
# be there together, what folds it in. Source: torch/nn/utils/{prune,spectral_norm,weight_norm,parametrize}.py, 2.13.
OWN = r"(?:weight|bias)_(?:ih|hh|hr)(?:_l\d+(?:_reverse)?)?"
PART_OF = re.compile(rf"(?s)(?P<prefix>(?:.*[^A-Za-z])?)(?P<own>{OWN})_(?P<end>orig|mask|u|v|g)")
PARAMETRIZED = re.compile(rf"(?s)(?P<prefix>(?:.*\.)?)parametrizations\.(?P<own>{OWN})\..+")
FOLDED_BY = (
    (frozenset({"orig", "mask"}), "torch.nn.utils.prune.remove"),
    (frozenset({"orig", "u"}), "torch.nn.utils.remove_spectral_norm"),
    (frozenset({"g", "v"}), "torch.nn.utils.remove_weight_norm"),
)
PARAMETRIZE = "torch.nn.utils.parametrize.remove_parametrizations"
MOST = 6  # of the tensors of one place that are listed


@dataclass(frozen=True, slots=True)
class Parted:
    """A weight that is kept in parts: where it belongs, the names of its parts, and what folds it in.

    `is_there` where it is there besides, as a pickled module has it.
    """

    prefix: str
    names: tuple[str, ...]
    folded_by: str
    is_there: bool


def kept_in_parts(tensors: Tensors) -> tuple[Parted, ...]:
    """The weights of which there are parts."""
    parts: dict[tuple[str, str], dict[str, str]] = {}
    for name in tensors:
        if match := PARAMETRIZED.fullmatch(name):
            parts.setdefault((match["prefix"], match["own"]), {})[name] = name
        elif match := PART_OF.fullmatch(name):
            parts.setdefault((match["prefix"], match["own"]), {})[match["end"]] = name
    found = []
    for (prefix, own), ends in parts.items():
        way = next((way for needed, way in FOLDED_BY if needed <= set(ends)), "")
        if PARAMETRIZED.fullmatch(next(iter(ends.values()))):
            way = PARAMETRIZE
        if way:
            found.append(Parted(prefix, tuple(ends.values()), way, prefix + own in tensors))
    return tuple(found)


def tell_suspects(
    names: Iterable[str], tensors: Tensors, told: Set[str], asked: str = ""
) -> Iterator[tuple[Finding, list[str]]]:
    """For each place the finding `unread` and the tensors that it tells of, none of them in `told`.

    `asked` is the dialect that alone was tried.
    """
    ways = {name: parted.folded_by for parted in kept_in_parts(tensors) for name in parted.names}
    places: dict[str, list[str]] = {}
    for name in names:
        if name not in told and (name in ways or _is_suspect(name, tensors)):
            places.setdefault(_place_of(name), []).append(name)
    for where, found in places.items():
        folded_by = ", ".join(dict.fromkeys(ways[name] for name in found if name in ways))
        help = f"fold it in before saving: {folded_by}" if folded_by else ""
        yield _looks_recurrent(where, found, tensors, asked, help), found


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


def _looks_recurrent(where: str, names: list[str], tensors: Tensors, asked: str, way: str) -> Unread:
    shapes = tuple((name, tensors[name].shape) for name in names)
    verdict, expected = "no dialect reads it", "the names of a dialect: lstm-spec dialects lists them"
    help = "name the dialect with --dialect, or rename the tensors"
    if asked:
        verdict, expected = f"{asked} has no such names", f"the names of {asked}: lstm-spec dialects show {asked}"
        help = "another dialect, or none, for all of them"
    if tensors.format in OPERATOR_FORMATS:
        verdict, expected, help = "no operator reads it", "an operator LSTM that has it as a constant", ""
    help = way or (SAVE_BEFORE if any(map(QUANTIZED.search, names)) else help)
    if len(names) == 1:
        message = f"{safe(names[0])} looks recurrent by its name, and {verdict}"
        at = f"{place(tensors, names[0])} {tensors[names[0]].shape}"
        return Unread("unread", message, at, expected, help=help, where=names[0], shapes=shapes)
    found = shortened(names, MOST, lambda name: f"{safe(name, 60)} {tensors[name].shape}")
    message = f"{safe(where or tensors.origin)} looks recurrent by its {len(names)} names, and {verdict}"
    at = place(tensors, where or tensors.origin)
    return Unread("unread", message, at, expected, found, help=help, where=where or tensors.origin, shapes=shapes)
