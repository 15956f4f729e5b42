"""What a cell means: equations, shapes, counts. SymPy in, SymPy out; no NumPy."""
