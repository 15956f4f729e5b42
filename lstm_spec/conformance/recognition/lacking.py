"""Tensors that would be a layer but for its recurrent matrix: the layer, so that what is said is what is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from lstm_spec.conformance.recognition.groups import Group, group_names, read_group
from lstm_spec.conformance.recognition.readings import Reading
from lstm_spec.conformance.recognition.solving import Solution, solve
from lstm_spec.conformance.recognition.suspects import SURELY_RECURRENT, kept_in_parts
from lstm_spec.dialects import DIALECTS
from lstm_spec.layers.tensors import Tensors

FEWEST = 2  # a matrix on x and a bias; one tensor alone may be of anything


def read_lacking(names: Collection[str], tensors: Tensors) -> Iterator[Reading]:
    """The layers without a recurrent matrix whose sizes the rest tells, by names that nothing but a layer has."""
    sure = [name for name in names if SURELY_RECURRENT.fullmatch(name)]
    in_parts = {parted.prefix for parted in kept_in_parts(tensors)}  # there it is not missing
    places: dict[str, Group] = {}
    for dialect in (dialect for dialect in DIALECTS.values() if dialect.claims is None):
        for group in group_names(sure, dialect):
            if len(group.found) > len(places.get(group.prefix, Group("", dialect)).found):
                places[group.prefix] = group
    for group in (group for prefix, group in places.items() if prefix not in in_parts):
        if not group.is_recurrent and not group.doubles and len(group.found) >= FEWEST:
            reading = read_group(group, tensors)
            if isinstance(reading, Reading) and _lacks_only(solution := solve(reading, tensors)):
                yield replace(reading, assumed=(*reading.assumed, _of_others(solution)))


def _lacks_only(solution: Solution) -> bool:
    """Whether what there is fits, and the sizes are known from it."""
    return all(finding.code == "missing" for finding in solution.findings) and not solution.layer.open_letters


def _of_others(solution: Solution) -> str:
    """Rows that divide by 4 are a simple RNN's too, and where they divide by 3 a GRU's."""
    others = "a simple RNN or a GRU" if int(solution.layer.sizes["k"]) % 3 == 0 else "a simple RNN"
    return f"as an LSTM; without a recurrent matrix, {others} of another width has these shapes too"
