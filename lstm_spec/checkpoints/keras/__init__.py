"""A Keras file ↔ arrays by name and what its recurrent layers say of themselves. Keras is never imported.

flow         a model's layers → the order in which data runs through them
config       a configuration's plain values → each recurrent layer's options
names        the file's datasets → tensors under names that say what they are, layer by layer
reading      `.keras`, `.weights.h5` and `.h5` → `Tensors`, from those above: `read_keras`, `read_hdf5`;
             several `.weights.h5` of one model: `walk_hdf5` each, `join_hdf5` all
writing      layers → an HDF5 file that Keras loads: `keras_weights`, `keras_legacy`
"""
