"""A source → the recurrent layers in it, each a reading: tensors of one dialect, with what was said of them.

sources       a path, a dict of arrays or a live layer → `Tensors`
choosing      of several models below a path the one that holds anything recurrent
operators     what nodes and live layers say: with live_options, keras_options; and tflite_operators
groups        what names say: with numbered, slots, lacking
unnamed       what shapes say, where names say nothing
suspects      what looks recurrent and is in no reading; with other_cells, which are no LSTM
recognizing   `Tensors` → readings and findings, from all of these
readings      a reading, as a value
solving       a reading → its sizes: with voting, turning
loading       a reading → its arrays
halves        the two layers that one Bidirectional runs
custom        tensors of a cell of your own → sizes and weights
reading       all of it for one layer: `read`
"""
