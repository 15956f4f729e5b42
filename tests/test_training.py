"""The training example: the accuracy that the same PyTorch script reaches, far above guessing."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "10_training.py"
GUESSING = 0.2  # six scripts; the most common has 18 % of the names that are asked
APART = 0.01  # of all that is asked; both are float64 and start alike, so only rounding sets them apart


def accuracies(epochs: int) -> tuple[float, float]:
    main = run_path(str(EXAMPLE))["main"]
    return main(["--epochs", str(epochs)]), main(["--torch", "--epochs", str(epochs)])


def test_a_short_training_learns_what_torch_learns() -> None:
    pytest.importorskip("torch")
    ours, theirs = accuracies(1)
    assert abs(ours - theirs) <= APART
    assert ours > 2 * GUESSING


@pytest.mark.slow
def test_the_whole_training_reaches_the_accuracy_of_torch() -> None:
    pytest.importorskip("torch")
    ours, theirs = accuracies(12)
    assert abs(ours - theirs) <= APART
    assert ours > 0.78
