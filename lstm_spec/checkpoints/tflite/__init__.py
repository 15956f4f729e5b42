"""A TFLite model → `Tensors`: its constants, and its LSTM operators with the slots that their tensors stand in.

flatbuffer    the file's bytes → its tables, read in place
reading       tables → tensors and operators: `read_tflite`
flow          the values of a graph in the order in which data runs through them
cells         a matrix of all gates → one a gate; and the cells that are written out in simple operators
"""
