"""Which cells exist: the LSTM by option, and the literature's cells; all of them text in the equation language."""

from lstm_spec.cells.catalogue import get, names

__all__ = ["get", "names"]
