"""The 39 ways to get a wrong result in silence: each has a test, or a reason why it has none."""

from __future__ import annotations

import re
from pathlib import Path

LEFT_OUT = {
    4: "blocks that lie unit by unit: Chainer (frameworks/chainer_peer) and SRU; identify tells them (test_identify)",
    5: "Chainer's NStepLSTM: its code is followed, not its documentation (frameworks/chainer_peer)",
    17: "TFLite's bias after the normalization: read from its sources (test_tflite_operators)",
    29: "zoneout of MXNet and Chainer, at training: no dialect holds it",
    32: "Kaldi's delay is assumed to be -1, and said to be (test_dialect_names)",
    33: "QRNN is no LSTM and no dialect",
    34: "Lasagne 0.1 adds a peephole behind the sigmoid: measured where it is installed (frameworks/lasagne_peer)",
    35: "Udacity's cell is one of the catalogue, and no dialect",
    38: "quantized kernels of CMSIS-NN and TFLite: read from their sources (dialects show cmsis-nn)",
}


def test_every_trap_is_here_or_left_out():
    pages = Path(__file__).parent.glob("test_traps_of_*.py")
    tested = {int(n) for page in pages for n in re.findall(r"^def test_(\d\d)_", page.read_text("utf-8"), re.MULTILINE)}
    assert tested | set(LEFT_OUT) == set(range(1, 40))
    assert not tested & set(LEFT_OUT)
