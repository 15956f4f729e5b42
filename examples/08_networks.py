"""The four task forms: what flows from (B, T, n) to the answer, and a network that runs."""

import numpy as np

import lstm_spec as ls

for form in ("one-to-one", "one-to-many", "many-to-one", "many-to-many", "encoder-decoder"):
    print(form)
    print(ls.build_form(form, ls.lstm("n", "k", layout="batch")), end="\n\n")

# A sentiment classifier: a width is given once, where it is made, and flows upwards.
network = ls.Network(
    layout="batch",
    embed=ls.Embedding(vocabulary=1000, width=16),
    first=ls.lstm(k=32, bidirectional=True),
    drop=ls.Dropout(0.5),
    second=ls.lstm(k=8, output="last"),
    head=ls.Dense(2, "softmax"),
)
print(network)
assert network.parameter_count == 1000 * 16 + 2 * 4 * 32 * (16 + 32 + 1) + 4 * 8 * (64 + 8 + 1) + 2 * (8 + 1)

run, weights = ls.compile_network(network), network.random(seed=0)
tokens = np.random.default_rng(0).integers(0, 1000, size=(3, 20))
y, state = run(tokens, weights)  # at inference dropout is the identity
trained, _ = run(tokens, weights, dropout=np.random.default_rng(1))
print("answer", y.shape, "of which each row sums to", y.sum(axis=1).round(12))
assert not np.allclose(y, trained)
