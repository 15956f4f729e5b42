"""Which cells exist: the LSTM by option, and the literature's cells; all of them text in the equation language.

options      `LstmOptions`: what people vary in an LSTM and still call one
family       options → the LSTM's equations; `recovering` goes the other way
catalogue    the `*.cell` files beside it, by name
differences  two cells → what differs, in words
"""

from lstm_spec.cells.catalogue import get, names

__all__ = ["get", "names"]
