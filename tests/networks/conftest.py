"""Keras runs on torch here, as in tests/frameworks; TensorFlow's cells run only where they are asked for by name."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

collect_ignore = ["tf1_peer.py", "tf_keras_peer.py"]
