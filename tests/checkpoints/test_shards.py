"""A model in several files: any of them, their index or their folder is the whole, and one that is missing is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save, save_file

import lstm_spec as ls
from tests.checkpoints.torch.pickled import saved
from tests.conformance.sets import torch_names

TOGETHER = "put all of them into one folder; any of them, or the folder, then names the model"


def heads(report):
    return [found.where for found in report.layers]


def message(source, **options):
    with pytest.raises(ls.LstmSpecError) as caught:
        ls.check(source, numbers=False, **options)
    return str(caught.value)


def test_shards_are_one_model(tmp_path):
    parts = list(torch_names().items())
    save_file(dict(parts[:2]), tmp_path / "model-00001-of-00002.safetensors")
    save_file(dict(parts[2:]), tmp_path / "model-00002-of-00002.safetensors")
    report = ls.check(tmp_path, numbers=False)
    assert heads(report) == ["model-00001-of-00002.safetensors"]
    assert report.ok
    assert len(report.layers[0].tensors) == 4
    layer, weights = ls.read(tmp_path)
    np.testing.assert_array_equal(weights["l0.W_i"], torch_names()["weight_ih_l0"][:4])
    assert layer.parameter_count == 144


def test_a_shard_that_is_missing(tmp_path):
    """By folder and by the shard that is there; none of it passes. `test_index` has those that an index lists."""
    shard = tmp_path / "model-00001-of-00003.safetensors"
    save_file(torch_names(), shard)
    expected = (
        "error[shards]: the model lies in several files, and they are not all here\n"
        f"  at       {shard}\n"
        "  expected 3 files\n"
        "  found    without model-00002-of-00003.safetensors, model-00003-of-00003.safetensors\n"
        f"  help     {TOGETHER}"
    )
    assert [str(finding) for finding in ls.check(tmp_path, numbers=False).findings] == [expected]
    assert message(shard) == expected
    with pytest.raises(ls.LstmSpecError, match=r"^error\[shards\]: "):
        ls.read(shard)


def test_shards_whose_numbers_are_none(tmp_path):
    for name in ("a-00001-of-00000", "b-00003-of-00002", "b-00001-of-00002", "b-00002-of-00002"):
        save_file(torch_names(), tmp_path / f"{name}.safetensors")
    for name in ("a-00001-of-00000", "b-00003-of-00002"):
        told = message(tmp_path / f"{name}.safetensors").splitlines()
        assert (told[0].partition(":")[0], told[3]) == ("error[shards]", "  found    of several counts")
    save_file(torch_names(), tmp_path / "c-00001-of-99999.safetensors")
    assert message(tmp_path / "c-00001-of-99999.safetensors") == (
        f"error[too-many]: there are too many files here\n  at       {tmp_path}/c-00001-of-99999.safetensors\n"
        "  expected at most 10000\n  found    99999"
    )


SHARDS = {"safetensors": "model", "bin": "pytorch_model"}  # as Hugging Face names them


@pytest.mark.parametrize("suffix", SHARDS)
def test_a_shard_stands_for_its_model(tmp_path, suffix):
    """The first of two held the weights, passed alone, and was said to be an LSTM without a bias."""
    parts = list(torch_names("m.").items())
    names = [f"{SHARDS[suffix]}-0000{number}-of-00002.{suffix}" for number in (1, 2)]
    index = tmp_path / f"{SHARDS[suffix]}.{suffix}.index.json"
    for name, part in zip(names, (parts[:2], parts[2:]), strict=True):
        (tmp_path / name).write_bytes(save(dict(part)) if suffix == "safetensors" else saved(dict(part)))
    listed = {name: names[number // 2] for number, (name, _) in enumerate(parts)}
    index.write_text(json.dumps({"weight_map": listed}))
    for place in (tmp_path / names[0], tmp_path / names[1], index, tmp_path):
        report = ls.check(place, numbers=False)
        assert report.ok, str(report)
        assert [found.summary for found in report.layers] == ["n = 3, k = 4, forward, two biases"]
        assert ls.read(place)[0].parameter_count == 144
    (tmp_path / names[0]).rename(tmp_path / f"alone-00001-of-00001.{suffix}")
    assert heads(ls.check(tmp_path / f"alone-00001-of-00001.{suffix}", numbers=False)) == ["m"]


def test_shards_of_several_counts(tmp_path):
    for name in ("model-00001-of-00002", "model-00002-of-00003"):
        save_file({name: np.zeros(2, "float32")}, tmp_path / f"{name}.safetensors")
    (finding,) = ls.check(tmp_path, numbers=False).findings
    assert str(finding) == (
        "error[shards]: the model lies in several files, and they are not all here\n"
        f"  at       {tmp_path}/model-00001-of-00002.safetensors\n"
        "  expected 2 files\n"
        f"  found    of several counts\n  help     {TOGETHER}"
    )


def test_a_tensor_in_two_shards(tmp_path):
    for number in (1, 2):
        save_file(torch_names(), tmp_path / f"model-0000{number}-of-00002.safetensors")
    (finding,) = ls.check(tmp_path, numbers=False).findings
    assert str(finding) == (
        f"error[names]: two shards hold bias_hh_l0\n  at       {tmp_path}/model-00002-of-00002.safetensors"
    )
