"""A recurrent layer as a module of a network: where its states start, and what is dropped in it in training.

Its input width is the width below wherever the layer leaves it a letter; so nobody gives it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Integer

from lstm_spec.errors import Finding, OptionError, SizeError
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.modules import Module
from lstm_spec.layers.noise import MaskInput, Noise
from lstm_spec.layers.signals import Shape, Signal, json_size, mismatch
from lstm_spec.layers.sizes import symbols
from lstm_spec.symbolic.printing import size_text, tuple_text


@dataclass(frozen=True)
class Recurrent(Module):
    """A layer, with what a network adds to it; a plain `Layer` in a network is `Recurrent(layer)`.

    `start` names the member whose final states are this one's first: the encoder of a decoder. `noise` is dropout
    inside the cell, or zoneout; it takes a layer of one cell.
    """

    layer: Layer
    start: str | None = None
    noise: Noise | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Layer):
            raise OptionError(Finding("network", "Recurrent takes a Layer", found=type(self.layer).__name__))
        if self.layer.merge == "apart":
            raise OptionError(
                Finding(
                    "network", "merge='apart' keeps the directions on an axis that no module takes", help="join them"
                )
            )
        if self.noise and (self.layer.layers > 1 or self.layer.direction == "both"):
            raise OptionError(
                Finding(
                    "noise",
                    f"{self.noise.words} is put into one cell, and this layer has {len(self.layer.members)}",
                    because="each cell has masks of its own",
                    help="make a member of the network of each cell",
                )
            )
        _ = self.tested, self.trained

    @property
    def input_width(self) -> Any:
        """What the layer itself says of its input: a number, a letter, or a sum."""
        return self.layer.cell.inputs[0].size[0].xreplace(symbols(self.layer.sizes))

    @property
    def tested(self) -> Layer:
        """The layer at inference."""
        return self.layer.with_(cell=self.noise.tested(self.layer.cell)) if self.noise else self.layer

    @property
    def trained(self) -> tuple[Layer, tuple[MaskInput, ...]]:
        """The layer in training, and the masks that it reads under x."""
        if self.noise is None:
            return self.layer, ()
        made = self.noise.trained(self.layer.cell)
        return self.layer.with_(cell=made.cell), made.masks

    def taking(self, taken: Signal) -> dict[Any, Any]:
        """The layer's input letter → the width that comes in, where it left it open."""
        width = self.input_width
        return {width: taken.width} if width.is_Symbol else {}

    def gives(self, name: str, taken: Signal) -> Signal:
        """Every step of the output, or the last."""
        if taken.width is None:
            raise mismatch(name, "vectors", taken, help="an Embedding makes vectors of tokens")
        if taken.time is None:
            raise mismatch(name, "a sequence", taken, help="RepeatVector(steps) makes one of it")
        at, wanted = self.taking(taken), self.input_width
        if wanted.xreplace(at) != taken.width:
            raise SizeError(
                Finding(
                    "width",
                    f"{name} takes {size_text(wanted)}, and {taken.giver} gives {size_text(taken.width)}",
                    expected=tuple_text(Signal(wanted, taken.time).shape()),
                    found=tuple_text(taken.shape()),
                    help="leave the layer's input size a letter, such as n: it takes the width below",
                )
            )
        time = None if self.layer.output == "last" else taken.time
        return Signal(self.layer.output_width.xreplace(at), time)

    def parameters(self, taken: Signal) -> dict[str, Shape]:
        """Those of the layer, `l0.W_f` → `(k, e)`."""
        return _at(self.layer.parameter_shapes(), self.taking(taken))

    def states(self, taken: Signal) -> dict[str, Shape]:
        """Those of the layer, `l0.h` → `(k,)`."""
        return _at(self.layer.state_shapes(), self.taking(taken))

    def mask_rows(self, mask: MaskInput, taken: Signal) -> Any:
        """The rows of a mask."""
        return mask.rows.xreplace(symbols(self.layer.sizes)).xreplace(self.taking(taken))

    def at(self, sizes: Mapping[Any, Any]) -> Recurrent:
        """With other sizes for its letters; the one that takes the width below is none of its own."""
        own = self.input_width if self.input_width.is_Symbol else None
        changes = {str(old): new for old, new in sizes.items() if str(old) in self.layer.open_letters and old != own}
        return Recurrent(self.layer.at(**changes), self.start, self.noise) if changes else self

    def sized(self, taken: Signal) -> Layer:
        """The layer with the width below as a number, where it is one."""
        numbers = {str(old): new for old, new in self.taking(taken).items() if isinstance(new, Integer)}
        return self.layer.at(**numbers) if numbers else self.layer

    @property
    def words(self) -> str:
        """What it is, for a table."""
        layer, source = self.layer, self.layer.cell.source
        name = source.name.removesuffix(".cell").rpartition("/")[2] if source else "recurrent"
        shown = [name, *([f"{layer.layers} layers"] * (layer.layers > 1))]
        shown += [layer.direction] * (layer.direction != "forward") + ["last"] * (layer.output == "last")
        shown += [f"starts from {self.start}"] * (self.start is not None)
        return ", ".join([*shown, *([self.noise.words] if self.noise else [])])

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the layer's options and its cell as text."""
        layer = self.layer
        return {
            "kind": "Recurrent",
            "cell": str(layer.cell),
            "sizes": {name: json_size(value) for name, value in layer.given},
            "layers": layer.layers,
            **{option: getattr(layer, option) for option in ("direction", "output", "realign", "merge", "padding")},
            "start": self.start,
            "noise": self.noise.words if self.noise else None,
        }


def _at(shapes: Mapping[str, Shape], sizes: Mapping[Any, Any]) -> dict[str, Shape]:
    return {name: tuple(size.xreplace(sizes) for size in shape) for name, shape in shapes.items()}
