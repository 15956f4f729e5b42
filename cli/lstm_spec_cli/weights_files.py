"""A file of weights, and the options beside it → a layer and its weights, for every command that takes both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lstm_spec_cli.layer_options import StackOptions, refuse_beside_own_names

if TYPE_CHECKING:
    from lstm_spec.layers.layer import Layer
    from lstm_spec.layers.weights import Weights


LEAVES_TENSORS = ("layout", "merge", "padding")  # options that change what is computed and no tensor


def read_layer(path: str, chosen: StackOptions, at: str | None, dialect: str | None) -> tuple[Layer, Weights]:
    """The layer that the file shows, or that the options describe. Raises what `ls.read` raises."""
    import lstm_spec as ls

    described = described_layer(chosen)
    if described is not None:
        refuse_beside_own_names({"--at": at, "--dialect": dialect})
    layer, found = ls.read(path, at=at, dialect=dialect, layer=described)
    return layer.with_(**{name: getattr(chosen, name) for name in LEAVES_TENSORS}), found


def described_layer(chosen: StackOptions) -> Layer | None:
    """The layer that the options describe; None where they leave it to the weights."""
    plain = StackOptions()
    says_nothing = replace(chosen, **{name: getattr(plain, name) for name in LEAVES_TENSORS}) == plain
    return None if says_nothing else chosen.read_layer()
