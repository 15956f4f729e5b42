"""One layer, asked three things: its shapes, its parameter count, and the code that runs it."""

import lstm_spec as ls

layer = ls.lstm("n", "k", bias="two")
print(layer.shapes())
print(layer.parameter_count, "=", layer.at(n=5, k=10).parameter_count)
print(ls.compile(layer).source)
