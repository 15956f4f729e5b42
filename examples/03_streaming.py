"""A sequence at once, and the same sequence step by step: equal, and nothing is held between the calls."""

import numpy as np

import lstm_spec as ls

layer = ls.lstm(5, 10)
run, weights = ls.compile(layer), layer.random(seed=0)
x = np.random.default_rng(0).normal(size=(20, 3, 5))

y, _ = run(x, weights)
state = None
for t, x_t in enumerate(x):
    y_t, state = run.step(x_t, weights, state)
    assert np.allclose(y_t, y[t], rtol=0, atol=1e-12)
print("equal in every step")
