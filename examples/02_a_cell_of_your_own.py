"""The minimal gated unit (Zhou et al. 2016), written down, sized, and run on random input."""

import numpy as np

import lstm_spec as ls

MGU = """
# Zhou, Wu, Zhang & Zhou 2016
input x[n]
state h[k]

f  = sigmoid(W_f x + U_f h + b_f)
g  = tanh(W_g x + U_g (f * h) + b_g)
h' = (1 - f) * h + f * g
"""

layer = ls.Layer(ls.parse(MGU), n=8, k=16)
run = ls.compile(layer)
y, state = run(np.random.default_rng(0).normal(size=(20, 4, 8)), layer.random(seed=0))
print(f"{layer.parameter_count} parameters; y is {y.shape} and ends in the state: {np.array_equal(y[-1], state['h'])}")
