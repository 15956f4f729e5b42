"""Networks that hypothesis draws, arrays to run them on, and their members as two frameworks have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import lstm_spec as ls

sizes = st.integers(1, 6)
activations = st.sampled_from(["identity", "softmax", "sigmoid", "tanh", "relu"])


@dataclass(frozen=True)
class Drawn:
    """A network with numbers for sizes, and the lengths of its axes."""

    network: ls.Network
    batch: int
    time: int
    seed: int

    def x(self, dtype: str = "float64") -> np.ndarray:
        """An array for its first input."""
        generator = np.random.default_rng(self.seed)
        (shape,) = [signal.shape(self.network.layout) for signal in self.network.inputs.values()]
        lengths = {"B": self.batch, "T": self.time}
        numbers = tuple(lengths[str(s)] if str(s) in lengths else int(s) for s in shape)
        if next(iter(self.network.inputs.values())).width is None:
            vocabulary = int(self.network.members[1].module.vocabulary)
            return generator.integers(0, vocabulary, numbers)
        return generator.standard_normal(numbers).astype(dtype)


@st.composite
def _layer(draw: st.DrawFn, bias: str, over_sequences: bool, stacked: bool) -> ls.Layer:
    return ls.lstm(
        k=draw(sizes),
        bias=bias,
        layers=draw(st.integers(1, 2)) if stacked else 1,
        bidirectional=draw(st.booleans()),
        output="sequence" if over_sequences else draw(st.sampled_from(["sequence", "last"])),
    )


@st.composite
def networks(draw: st.DrawFn, bias: str = "one", stacked: bool = True) -> Drawn:
    """A chain that begins with an embedding, a repetition, a layer or a dense module, and goes on as it can."""
    members: dict[str, Any] = {"x": ls.Input(draw(sizes))}
    is_sequence = True
    begin = draw(st.sampled_from(["embed", "repeat", "x"]))
    if begin == "embed":
        members = {"embed": ls.Embedding(draw(sizes), draw(sizes))}
    elif begin == "repeat":
        members = {"x": ls.Input(draw(sizes), None), "repeat": ls.RepeatVector(draw(sizes))}
    for index in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["layer", "dense", "drop"] if is_sequence else ["dense", "drop", "repeat"]))
        name = f"{kind}{index}"
        if kind == "layer":
            layer = draw(_layer(bias, False, stacked))
            members[name], is_sequence = layer, layer.output == "sequence"
        elif kind == "dense":
            members[name] = ls.Dense(draw(sizes), draw(activations), draw(st.booleans()))
        elif kind == "drop":
            members[name] = ls.Dropout(0.5, draw(st.sampled_from(["element", "sequence", "unit"])))
        else:
            members[name], is_sequence = ls.RepeatVector(draw(sizes)), True
    network = ls.Network(layout=draw(st.sampled_from(["time", "batch"])), **members)
    return Drawn(network, draw(sizes), draw(sizes), draw(st.integers(0, 2**32 - 1)))


def of_member(weights: ls.Weights, owner: str) -> dict[str, np.ndarray]:
    """One member's weights, without its name."""
    return {n.removeprefix(owner + "."): a for n, a in weights.items() if n.startswith(owner + ".")}
