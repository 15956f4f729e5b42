"""`lstm-spec params`: how many numbers a layer learns, under each convention for biases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lstm_spec.errors import OptionError
from lstm_spec_cli.layer_options import InNotation, LayerOptions, in_notation, spread
from lstm_spec_cli.output import Answer

if TYPE_CHECKING:
    from lstm_spec.layers.layer import Layer
    from lstm_spec.render.tables import Table

CONVENTIONS = {"one": "one bias a gate", "two": "two biases a gate", "none": "no bias"}


@spread
def params(chosen: LayerOptions, notation: InNotation = None) -> Answer:
    """Print how many parameters a layer has: by tensor, in all, and with one bias a gate, two, or none.

    lstm-spec params 3 4
    """
    from lstm_spec.render.listings import list_conventions, list_counts

    asked = chosen.read_layer()
    counts = list_counts(asked) if notation is None else _counts_in(asked, notation)
    if chosen.cell is not None:
        return Answer((counts,))
    layers = {words: layer for bias, words in CONVENTIONS.items() if (layer := _with_bias(chosen, bias))}
    return Answer((counts, list_conventions(layers)))


def _counts_in(layer: Layer, notation: str) -> Table:
    """The counts under the names of a notation."""
    from lstm_spec.render.listings import list_counts
    from lstm_spec.render.notated import rename_counts

    notated = in_notation(layer.cell, notation)
    return list_counts(layer, lambda counts: rename_counts(counts, notated))


def _with_bias(chosen: LayerOptions, bias: str) -> Layer | None:
    """The layer with another convention, where its other options allow that."""
    try:
        return replace(chosen, bias=bias).read_layer()
    except OptionError:
        return None
