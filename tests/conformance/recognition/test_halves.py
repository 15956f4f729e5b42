"""The two layers of one Bidirectional are of two widths: a live model and each of its files say the same."""

from __future__ import annotations

import pytest

import lstm_spec as ls

keras = pytest.importorskip("keras", reason="keras is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
N, T = 3, 5
SAID = {
    "concat": ("warning", "y is 10 wide, and Keras announces 8"),
    None: ("warning", "y is 10 wide, and Keras announces 8"),
    "ave": ("error", "merge_mode = ave needs equal widths"),
}


def model_of(merge="concat", forward=4, backward=6, kind="LSTM", **options):
    layer = getattr(keras.layers, kind)
    own = layer(backward, go_backwards=True, return_sequences=True, name="a_backward", **options)
    first = layer(forward, return_sequences=True, name="b_forward", **options)
    both = keras.layers.Bidirectional(first, merge_mode=merge, backward_layer=own, name="both")
    return keras.Sequential([keras.Input((T, N)), both], name="m")


def sources(model, folder):
    """The model, and what it is saved as."""
    yield "m", model
    for suffix in ("keras", "h5"):
        model.save(folder / f"m.{suffix}")
        yield str(folder / f"m.{suffix}"), str(folder / f"m.{suffix}")


@pytest.mark.parametrize("merge", SAID)
def test_a_model_and_its_files_in_full(tmp_path, merge):
    severity, because = SAID[merge]
    model = model_of(merge)
    assert model.count_params() == 368
    for origin, source in sources(model, tmp_path):
        report = ls.check(source)
        (finding,) = report.findings
        assert str(finding) == (
            f"{severity}[bidirectional]: the two layers of both differ: units = 4 forward, 6 backward\n"
            f"  at       {origin} : m/both\n"
            "  expected one width in both directions\n"
            "  found    128 + 240 = 368 parameters\n"
            f"  because  {because}\n"
            "  help     give backward_layer the same units, or leave it out"
        )
        assert report.ok == (severity == "warning")
        assert len(report.layers) == 2


def test_layers_of_one_width_are_not_spoken_of(tmp_path):
    for _, source in sources(model_of(backward=4, use_bias=False), tmp_path):
        assert ls.check(source).findings == ()


def test_other_layers_in_it_are_told_too(tmp_path):
    """A GRU is read as nothing, and of its widths it is said all the same."""
    for _, source in sources(model_of(kind="GRU"), tmp_path):
        assert "units = 4 forward, 6 backward" in str(ls.check(source))
