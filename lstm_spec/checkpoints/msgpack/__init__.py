"""A Flax MessagePack file ↔ arrays by name; the format is walked and written here, by no library.

reading    the file's headers → `Tensors`, values when asked for: `read_msgpack`
writing    arrays by name → the file's bytes: `msgpack_bytes`
"""
