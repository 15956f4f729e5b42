"""An encoder's final state starts a decoder, whose answers are fed back, one step at a time."""

import numpy as np

import lstm_spec as ls

network = ls.build_form("encoder-decoder", ls.lstm(5, 10), units=3)
print(network)

run, weights = ls.compile_network(network), network.random(seed=0)
x = np.random.default_rng(0).normal(size=(20, 2, 5))

# In training the decoder reads the wanted answer, one step late.
target = np.random.default_rng(1).normal(size=(7, 2, 3))
y, state = run({"x": x, "target": target}, weights)
print("training ", y.shape)

# At inference the decoder and its head are a network of their own, with the same weights.
_, state = run({"x": x, "target": target[:0]}, weights)
decoder = ls.compile_network(ls.Network(decoder=ls.lstm(3, 10), head=ls.Dense(3)))
own = decoder.pack({name: array for name, array in weights.items() if not name.startswith("encoder.")})
state = {name: array for name, array in state.items() if name.startswith("decoder.")}

answer, answers = np.zeros((2, 3)), []
for _ in range(7):
    answer, state = decoder.step(answer, own, state)
    answers.append(answer)
print("inference", np.stack(answers).shape)
