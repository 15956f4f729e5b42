"""A gate that is 1 minus another, for a dialect that couples the other way, or not at all: it gets weights of its own.

1 - sigmoid(z) is sigmoid(-z), so its weights are the other gate's, negated; exactly, for any function that is symmetric
about 1/2. Comes in: options and a cell's weights. Goes out: options that compute the same, and weights for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lstm_spec.cells.options import COUPLINGS, Coupling, LstmOptions

Array = np.ndarray[Any, Any]
SYMMETRIC = re.compile(r"sigmoid|hard_sigmoid\(.*,\s*(?:1/2|0?\.50*)\s*\)")
WRITTEN = re.compile(r"(?:[WUpP]_|b_[WU]?)[if]")  # every kind of parameter that a gate has


def other_couplings(options: LstmOptions) -> Iterator[Coupling | None]:
    """The couplings that compute the same, the least changed first.

    Its own; where its gates have one layer and no normalization, the other, then none: two gates of their own.
    """
    yield options.coupled
    plain = options.layer_norm == "none" and not options.gate_hidden
    if options.coupled and plain and SYMMETRIC.fullmatch(options.gate_activation):
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


def tell_coupling(before: LstmOptions, after: LstmOptions, to: str) -> Iterator[str]:
    """The note that a gate has weights of its own now."""
    if before.coupled is None or after.coupled == before.coupled:
        return
    written, read = before.coupled[0], before.coupled[-1]
    does = "couples the other way" if after.coupled else "does not couple gates"
    yield f"{to} {does}: {written} gets weights of its own, those of {read} negated (1 - sigmoid(z) is sigmoid(-z))"


def _is_of(name: str, gate: str) -> bool:
    return name.endswith(gate) and WRITTEN.fullmatch(name) is not None
