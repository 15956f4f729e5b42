"""`lstm-spec convert` says no with 1, and what would be lost; a wrong question is 2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conformance.sets import torch_names


def test_a_loss_is_a_no(command, tmp_path):
    """It was 2, as a mistyped option is."""
    np.savez(tmp_path / "a.npz", **torch_names("enc."))
    asked = ("convert", tmp_path / "a.npz", "--to", "keras", "-o", tmp_path / "k.npz")
    refused = command(*asked)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "error[loss]: keras cannot hold all of this layer as it is\n"
        f"  at       {tmp_path}/a.npz : enc\n"
        "  because  keras has one bias a gate: the two are summed\n"
        "  help     --allow two-biases, if that is agreed\n"
    )
    assert not (tmp_path / "k.npz").exists()
    assert command(*asked, "--json").code == 1
    assert command(*asked, "--allow", "two-biases").code == 0


@pytest.mark.parametrize("wrong", [["--allow", "biases"], ["--at", "dec"], ["--dialect", "keras"]], ids=str)
def test_a_wrong_question(command, tmp_path, wrong):
    np.savez(tmp_path / "a.npz", **torch_names("enc."))
    assert command("convert", tmp_path / "a.npz", "--to", "keras", "-o", tmp_path / "k.npz", *wrong).code == 2


def test_zeros_are_told(command, tmp_path):
    np.savez(tmp_path / "a.npz", **torch_names("enc.", bias=False, projection=2))
    done = command("convert", tmp_path / "a.npz", "--to", "kaldi", "-o", tmp_path / "k.npz")
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        "enc: pytorch -> kaldi, the same to rounding\n"
        "  note: kaldi has biases: they are zeros\n"
        "  note: kaldi has peepholes: they are zeros\n"
        "  note: kaldi has a bias of the projection: it is zeros\n"
        f"wrote {tmp_path}/k.npz: 13 tensors\n"
    )
    back = command("convert", tmp_path / "k.npz", "--dialect", "kaldi", "--to", "pytorch", "-o", tmp_path / "b.npz")
    assert back.code == 0
    assert "  note: the peepholes are all zeros: they are left out, and nothing is lost\n" in back.err
    assert "  note: the bias of the projection is all zeros: it is left out, and nothing is lost\n" in back.err
