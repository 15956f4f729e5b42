"""An HDF5 file → its datasets and its attributes' texts, for `keras`, which says what they mean.

heaps       the file's bytes, walked where HDF5 itself would not come to an end
datasets    the file → the shapes of its datasets and the texts, by a walk that follows no link
values      one dataset → its array, in memory that its own bytes justify
"""
