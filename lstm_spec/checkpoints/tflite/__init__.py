"""A TFLite model → `Tensors`: its constants, and its LSTM operators with the slots that their tensors stand in.

flatbuffer    the file's bytes → its tables, read in place
reading       tables → tensors and operators: `read_tflite`
cells         a matrix of all gates → one a gate; and the cells that are written out in simple operators
"""
