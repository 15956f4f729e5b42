"""What the tests of traps share: the tool's words for a difference, the notes of a dialect, a refusal."""

from __future__ import annotations

import re

import pytest

import lstm_spec as ls
from tests.conformance.conventions import record

N, K, B = 5, 6, 3
TF1 = "rnn/basic_lstm_cell/"


def named(said, names, n=N, k=K):
    """The arrays of a convention under some names, and a step that it computed."""
    arrays, step = record(n, k, said)
    return dict(zip(names, arrays.values(), strict=True)), step


def measured(text):
    """The text with every small number as ~0 and every other as #."""
    text = re.sub(r"(?<![\w./])\d+(?:\.\d+)?e-\d+\b|(?<=[ifgo] )0(?=[,:]|$)", "~0", text, flags=re.MULTILINE)
    return re.sub(r"(?<![\w.])\d+\.\d+\b|(?<=\w )\d+(?=, (?:as|otherwise|with) )", "#", text)


def told(arrays, step, **options):
    """What check says of a recorded step, after the dialect's title."""
    report = ls.check(arrays, step=step, **options)
    assert not report.ok
    (finding,) = (f for f in report.findings if f.severity == "error")
    assert finding.code == "numbers"
    return [measured(line) for line in finding.because.splitlines()[1:]]


def notes(command, name):
    """What `dialects show` says."""
    outcome = command("dialects", "show", name)
    assert outcome.code == 0
    return outcome.out.splitlines()


def refused(call, *arguments, **options):
    with pytest.raises(ls.LstmSpecError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def torch_arrays(module):
    return {name: a.detach().numpy() for name, a in module.named_parameters()}
