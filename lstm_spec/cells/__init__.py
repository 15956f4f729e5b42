"""Which cells exist: the LSTM by option, as text in the equation language."""
