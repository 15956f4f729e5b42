"""A PyTorch checkpoint ↔ arrays by name. PyTorch is never imported, and no pickle is ever loaded.

records    what a pickle is read as: inert dicts, classes and calls, by name
pickles    a pickle's opcodes → records
tensors    PyTorch's rebuild functions, as records → views of storages, held against their sizes
names      the records → views by path, and the LSTM modules among them
values     a storage's bytes and a view of it → an array
archive    the ZIP archive → views and storages, from the five above
legacy     the format before 1.6 → the same
reading    either of these → `Tensors`: `read_torch`
writing    arrays by name → the bytes of a state dict: `torch_bytes`
"""
