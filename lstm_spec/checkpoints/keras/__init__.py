"""A Keras file ↔ arrays by name and what its recurrent layers say of themselves. Keras is never imported.

json_data    the configuration's bytes → plain values, bounded before they are parsed
flow         a model's layers → the order in which data runs through them
config       plain values → each recurrent layer's options
names        the file's datasets → tensors under names that say what they are, layer by layer
reading      `.keras`, `.weights.h5` and `.h5` → `Tensors`, from those above: `read_keras`, `read_hdf5`
writing      layers → an HDF5 file that Keras loads: `keras_weights`, `keras_legacy`
"""
