"""What `lstm-spec dialects show` draws: the brackets of every block take that very parameter out of the tensor."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.dialects import DIALECTS
from lstm_spec.dialects.blocks import blocks_of
from lstm_spec.dialects.facts import Facts

SIZES = (3, 4)


def taken(array, index):
    """The array at `[0, 4:8, 1::4]`, without evaluating text."""

    def side(text):
        if re.fullmatch(r"\d+", text):
            return int(text)
        return slice(*(int(part) if part else None for part in text.split(":")))

    return array[tuple(map(side, index))]


@pytest.mark.parametrize("name", DIALECTS)
def test_the_brackets_take_the_parameter_out(name):
    dialect = DIALECTS[name]
    options = dialect.options({p.name for p in dialect.packings})
    projected = options.pop("projection", False)
    layer = ls.lstm(*SIZES, **options, **({"projection": 2} if projected else {}))
    weights = layer.random(0)
    tensors = dialect.pack(weights, layer)
    drawn = Facts(dialect).tensors(*SIZES, *([2] if projected else []))
    assert [t.name for t in drawn] == list(tensors)
    seen = []
    for tensor in drawn:
        for block in blocks_of(tensor):
            found = taken(tensors[tensor.name], block.index)
            expected = weights[f"l0.{block.parameter}"]
            found = found.reshape(expected.shape) if block.reshaped else found.T if block.transposed else found
            np.testing.assert_array_equal(found, expected)
            seen.append(block.parameter)
    assert sorted(seen) == sorted(name.removeprefix("l0.") for name in weights)


FACTS = [  # ../shared/dialects.md §1, as a person reads it there
    ("pytorch", "ifgo", "rows", "0, 2", "h, c", "run"),
    ("keras", "ifgo", "columns", "0, 1", "h, c", "run"),
    ("onnx", "iofg", "rows", "0, 2", "h, c", "run"),
    ("openvino", "figo", "rows", "1", "h, c", "run"),
    ("tf1", "igfo", "columns of [x, h]", "1", "c, h", "run"),
    ("tf1-coupled", "gfo", "columns of [x, h]", "1", "c, h", "run"),
    ("haiku", "igfo", "columns of [x, h]", "1", "h, c", "run"),
    ("flax", "ifgo", "columns, per gate", "1", "c, h", "run"),
    ("chainer", "gifo", "rows, unit by unit", "1", "c, h", "run"),
    ("chainer-nstep", "ifgo", "rows, per gate", "2", "h, c", "run"),
    ("mxnet", "ifgo", "rows", "2", "h, c", "run"),
    ("lasagne", "ifgo", "columns, per gate", "1", "h, c", "run"),
    ("madmom", "ifgo", "columns, per gate", "1", "h, c", "run"),
    ("embarc-mli", "igfo", "columns, on an axis", "1", "h, c", "published"),
    ("coreml", "ifog", "rows", "0, 1", "h, c", "published"),
    ("sonnet", "ifgo", "columns", "1", "h, c", "run"),
    ("tflite", "ifgo", "rows, per gate", "1", "h, c", "run"),
    ("tflite-basic", "igfo", "rows of [x, h]", "1", "h, c", "run"),
    ("keras-1", "igfo", "columns, per gate", "1", "h, c", "run"),
    ("burn", "ifog", "columns, per gate", "0, 2", "c, h", "published"),
    ("kaldi", "ifog", "rows of [x, h], per gate", "1", "h, c", "run"),
    ("webnn", "iofg", "rows", "0, 2", "h, c", "published"),
]


@pytest.mark.parametrize(("name", "gates", "orientation", "biases", "states", "evidence"), FACTS)
def test_the_facts_of_the_list(name, gates, orientation, biases, states, evidence):
    facts = Facts(DIALECTS[name])
    found = facts.gates, facts.orientation, facts.biases, facts.states, facts.dialect.evidence
    assert found == (gates, orientation, biases, states, evidence)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_is_told_whole(name):
    told = Facts(DIALECTS[name]).to_dict()
    assert told["name"] == name
    assert set("fgo") <= set(told["gates"])
    assert told["tensors"]
    assert all(len(tensor["blocks"]) >= 1 for tensor in told["tensors"])
