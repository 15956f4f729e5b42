"""The real checkpoints, and files that a test writes."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")  # before anything imports keras

collect_ignore = ["recognition/tflite_peer.py"]  # TensorFlow runs only where it is asked for by name
MODELS = Path(__file__).parents[2].parent / "shared/data/models"


@pytest.fixture
def models() -> Path:
    if not MODELS.is_dir():
        pytest.skip(f"no {MODELS}")
    return MODELS
