"""A gate that is 1 minus another, for a dialect that couples the other way, or not at all: it gets weights of its own.

1 - sigmoid(z) is sigmoid(-z), so its weights are the other gate's, negated; exactly, for any function that is symmetric
about 1/2. Comes in: options and a cell's weights. Goes out: options that compute the same, and weights for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lstm_spec.cells.options import COUPLINGS, Coupling, LstmOptions
from lstm_spec.errors import OptionError

Array = np.ndarray[Any, Any]
SYMMETRIC = re.compile(r"sigmoid|hard_sigmoid\(.*,\s*(?:1/2|0?\.50*)\s*\)")
WRITTEN = re.compile(r"(?:[WUpP]_|b_[WU]?)[if]")  # every kind of parameter that a gate has


def other_couplings(options: LstmOptions) -> Iterator[Coupling | None]:
    """The couplings that compute the same, the least changed first.

    Its own; where its gates have one layer and no normalization, the other, then none: two gates of their own.
    """
    yield options.coupled
    if options.coupled and _is_plain(options):
        yield from (coupling for coupling in COUPLINGS if coupling != options.coupled)
        yield None


def mirror(options: LstmOptions, own: Mapping[str, Array]) -> dict[str, Array]:
    """The parameters that the gate without weights would have, each the other's as it is."""
    assert options.coupled is not None
    written, read = options.coupled[0], options.coupled[-1]  # "i=1-f": i is written out, from f
    return {name[:-1] + written: array for name, array in own.items() if _is_of(name, read)}


def write_out(options: LstmOptions, own: Mapping[str, Array]) -> dict[str, Array]:
    """A cell's weights and those of the gate that has none: the other's, negated, with what the forget gate adds."""
    assert options.coupled is not None
    written = options.coupled[0]
    mirrored = {name: -array for name, array in mirror(options, own).items()}
    for name in (f"b_{written}", f"b_W{written}"):
        if name in mirrored and options.forget_bias:  # f adds it, beside its bias
            mirrored[name] = mirrored[name] - mirrored[name].dtype.type(float(options.forget_bias))
    return {**own, **mirrored}


def find_coupled(options: LstmOptions, cells: Iterable[Mapping[str, Array]], coupling: Coupling) -> LstmOptions | None:
    """The options of the coupled layer that these gates of their own were written out from; None if they were not.

    To the bit, in every cell: what `write_out` makes of the one gate is the other.
    """
    if options.coupled or not _is_plain(options):
        return None
    try:
        coupled = replace(options, coupled=coupling)
    except OptionError:
        return None
    for own in cells:
        kept = {name: array for name, array in own.items() if not _is_of(name, coupling[0])}
        again = write_out(coupled, kept)
        if again.keys() != own.keys() or not all(np.array_equal(again[name], own[name]) for name in own):
            return None
    return coupled


def tell_coupling(before: LstmOptions, after: LstmOptions, to: str) -> Iterator[str]:
    """The note that a gate has weights of its own now, or has none any more."""
    if after.coupled == before.coupled:
        return
    if before.coupled is None:
        assert after.coupled is not None
        written, read = after.coupled[0], after.coupled[-1]
        yield f"the weights of {written} are those of {read} negated: {to}, which couples the two, leaves them out"
        return
    written, read = before.coupled[0], before.coupled[-1]
    does = "couples the other way" if after.coupled else "does not couple gates"
    yield f"{to} {does}: {written} gets weights of its own, those of {read} negated (1 - sigmoid(z) is sigmoid(-z))"


def _is_plain(options: LstmOptions) -> bool:
    """Whether a gate's negated weights make 1 minus it."""
    return (
        options.layer_norm == "none" and not options.gate_hidden and bool(SYMMETRIC.fullmatch(options.gate_activation))
    )


def _is_of(name: str, gate: str) -> bool:
    return name.endswith(gate) and WRITTEN.fullmatch(name) is not None
