"""What people vary in an LSTM and still call one, as a value; what does not go together is refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Literal

from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.symbolic.algebra import FUNCTIONS

Bias = Literal["none", "one", "two"]
Coupling = Literal["f=1-i", "i=1-f"]
Peephole = Literal["none", "diagonal", "full"]
Norm = Literal["none", "ba", "tfa", "tf1", "tflite"]

BIASES: tuple[Bias, ...] = ("none", "one", "two")
COUPLINGS: tuple[Coupling, ...] = ("f=1-i", "i=1-f")
CHOICES: dict[str, tuple[str, ...]] = {
    "bias": BIASES,
    "coupled": COUPLINGS,
    "peephole": ("none", "diagonal", "full"),
    "peephole_output": ("after", "before"),
    "layer_norm": ("none", "ba", "tfa", "tf1", "tflite"),
}
FLAGS = ("projection", "projection_bias", "gate_hidden")
CLIPS = ("clip", "clip_cell", "clip_projection")
ACTIVATION = re.compile(r"([a-z_]+)(?:\((.*)\))?")


@dataclass(frozen=True, slots=True)
class LstmOptions:
    """What people vary in an LSTM and still call one.

    `bias`: no bias, one a gate, or two a gate (PyTorch, cuDNN and ONNX keep one for W x and one for U h); "one" unless
    said, "none" with TensorFlow 1's layer normalization, which has its own.
    `peephole`: i and f also see c, o also sees c', through a vector each (Gers, Schraudolph & Schmidhuber 2002) or a
    full matrix (Chainer's StatefulPeepholeLSTM); `peephole_output` "before" lets o see c (WebNN's baseline).
    `coupled`: one gate is 1 minus the other (CIFG of Greff et al. 2017 is f = 1 - i; TensorFlow 1 has i = 1 - f).
    `projection`: h = W_proj (o * tanh(c')), of r rows (Sak, Senior & Beaufays 2014); Kaldi's has a bias.
    `forget_bias`: a constant added in the forget gate at every step, as TensorFlow 1 and Haiku do; exact.
    `clip`: each pre-activation is held in ±clip (ONNX); `clip_cell`: the stored c' (TensorFlow 1, TFLite);
    `clip_projection`: the projected h' (TensorFlow 1, TFLite).
    `layer_norm`: Ba, Kiros & Hinton 2016 (c stored raw), TensorFlow Addons (c stored normalized), TensorFlow 1 (each
    gate's sum, to which peepholes are added, and c), TFLite (each gate's sum with its peephole, then a gain and the
    bias).
    `gate_activation` of i, f and o, `candidate_activation` of g, `output_activation` of c' where h reads it: a function
    of the equation language, its numbers written out, such as `hard_sigmoid(1/6, 1/2)`.
    `gate_hidden`: each gate has a hidden layer of its own, of j units.
    """

    bias: Bias | None = None
    peephole: bool | Peephole = False
    coupled: Coupling | None = None
    projection: bool = False
    forget_bias: Fraction = Fraction(0)
    peephole_output: Literal["after", "before"] = "after"
    projection_bias: bool = False
    clip: Fraction | None = None
    clip_cell: Fraction | None = None
    clip_projection: Fraction | None = None
    layer_norm: Norm = "none"
    gate_activation: str = "sigmoid"
    candidate_activation: str = "tanh"
    output_activation: str = "tanh"
    gate_hidden: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.peephole, bool):
            object.__setattr__(self, "peephole", "diagonal" if self.peephole else "none")
        if self.bias is None:
            object.__setattr__(self, "bias", "none" if self.layer_norm == "tf1" else "one")
        for option, known in CHOICES.items():
            value = getattr(self, option)
            if value not in known and not (option == "coupled" and value is None):
                raise _bad(option, value, known)
        for option in FLAGS:
            if not isinstance(getattr(self, option), bool):
                raise _bad(option, getattr(self, option), ("True", "False"))
        for option in CLIPS:
            bound = getattr(self, option)
            if bound is not None and not bound > 0:
                raise OptionError(Finding("option", f"{option} = {bound} is too small", expected="a number > 0"))
        for option in ("gate_activation", "candidate_activation", "output_activation"):
            check_activation(option, getattr(self, option))
        for reason in self._contradictions():
            raise OptionError(reason)

    def _contradictions(self) -> Iterator[Finding]:
        if self.forget_bias and self.coupled == "f=1-i":
            yield _clash(
                "forget_bias does not go with coupled='f=1-i'",
                "the forget gate is 1 - i there: it has no sum that a constant could join",
                "drop one of the two, or couple the other way: i=1-f",
            )
        for option in ("projection_bias", "clip_projection"):
            if getattr(self, option) and not self.projection:
                yield _clash(f"{option} needs projection", "there is no projected h without it", "add projection")
        if self.peephole_output == "before" and self.peephole == "none":
            yield _clash("peephole_output needs peephole", "without peepholes o sees no cell state", "add peephole")
        wanted = {"ba": ("none", "one"), "tfa": ("none", "one"), "tf1": ("none",), "tflite": ("one",)}
        if self.bias not in wanted.get(self.layer_norm, (self.bias,)):
            because = {
                "tf1": "its normalization brings a bias for each gate",
                "tflite": "the bias is added once, after the gain",
            }.get(self.layer_norm, "one bias is added after both normalizations")
            known = " or ".join(wanted[self.layer_norm])
            yield _clash(
                f"bias={self.bias!r} does not go with layer_norm={self.layer_norm!r}", because, f"bias {known}"
            )
        if self.gate_hidden and self.layer_norm != "none":
            yield _clash(
                "gate_hidden does not go with layer_norm", "no published cell says which sum is normalized", "drop one"
            )

    def changed(self) -> dict[str, Any]:
        """The options that are not as in a plain LSTM."""
        plain = LstmOptions()
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != getattr(plain, f.name)}


def spaced(coupling: str) -> str:
    """`f=1-i` as an equation is written: `f = 1 - i`."""
    return coupling.replace("=", " = ").replace("-", " - ")


def check_activation(option: str, text: str) -> None:
    """Hold an activation to the functions of the language. Raises OptionError with what to write."""
    match = ACTIVATION.fullmatch(text) if isinstance(text, str) else None
    name, numbers = match.groups() if match else ("", None)
    function = FUNCTIONS.get(name)
    known = [n for n, f in FUNCTIONS.items() if f.tensors == 1]
    if function is None or function.tensors != 1:
        raise _bad(option, text, tuple(known))
    given = [n for n in (numbers or "").split(",") if n.strip()]
    if name == "hard_sigmoid" and not given:
        raise OptionError(
            Finding(
                "option",
                f"{option}='hard_sigmoid' names two functions",
                expected="hard_sigmoid(1/5, 1/2), of Keras 1 and 2 and ONNX, or hard_sigmoid(1/6, 1/2), of Keras 3",
                help="write the slope and the offset",
            )
        )
    if len(given) != function.numbers:
        wants = f"{name}({', '.join(['number'] * function.numbers)})" if function.numbers else name
        raise OptionError(Finding("option", f"{option}={text!r} has the wrong numbers", expected=wants))


def _bad(option: str, found: object, known: tuple[str, ...]) -> OptionError:
    shown = safe(repr(found), 60) if isinstance(found, str) else safe(found, 60)
    return OptionError(Finding("option", f"{option}={shown} is unknown", expected=", ".join(known)))


def _clash(message: str, because: str, help: str) -> Finding:
    return Finding("options", message, because=because, help=help)
