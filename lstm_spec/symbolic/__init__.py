"""What a cell means: equations, shapes, counts. SymPy in, SymPy out; no NumPy.

    text ──language──▶ Cell ──┬─ shapes ─────▶ Shapes        every tensor's rows and columns
                              ├─ counts, operations, saved ▶ polynomials
                              ├─ gradient ───▶ Cell          the backward pass, again as equations
                              ├─ blocks ─────▶ Jacobian      of one step
                              ├─ bounds ─────▶ CellBounds    proven ranges
                              ├─ units ──────▶ Unit          one unit's own equations
                              └─ notation ───▶ Notated       in another school's symbols

algebra         the nodes of an equation; `printing` writes them, as text and LaTeX
cell            `Cell`, held by `wellformed`; `lint` warns of what is only likely to be a slip
language        text → `Cell`, by the `statements` of the parse tree; `complaints` are a wrong text's errors
shapes          dimension inference; `reasons` explain what does not fit; `joins` are sums seen as one product
counts          entries of shapes; `operations` of one step; the values `saved` for backpropagation
gradient        a cell's backward cell: `reverse` takes the equations from the last to the first, and the `chain_rule`
                each expression, by `derivatives`, with `outer` products and forward values (`recomputed`), into a
                `draft` with its `gradient_names`
blocks          the Jacobian of a step, as `matrix_sums`; `block_text` writes it, `sparsity` needs no sums at all
bounds          ranges of gates and states under `assumptions`: `ranging` walks the equations over `intervals`, by the
                `curves` of functions; `recurrences` read what a state keeps, `growing` bounds it (`growth`), with
                `cancelling` and `rounding` for floats; `fixed_point` formats hold a range
units           one unit's part of a cell, in `scalars`
notation        a cell as one of the `schools` writes it, by `signs` and `rearranging`; `renaming` makes a cell of that
normal          equations that compute the same in another order → equal numbers
"""
