"""A cell over time: the layer that is specified, run and checked, and the values that go with it.

    lstm(5, 10, …) ──factory──▶ Layer ──┬─ described ─▶ LayerShapes   every tensor, with its shape
                                        ├─ cost ──────▶ Cost          operations and bytes, as polynomials
                                        └─ inverse ◀─ budgets         sizes that keep to them
    modules one after the other ──▶ Network ──summary──▶ a row for each member

sizes        what people give for n, k, … → numbers or letters
options      the choices of a layer, and which go together
layer        `Layer`: a cell, sizes, a stack, directions, a layout → the shapes of its parameters and states
factory      `lstm`: sizes and options in one call
described    every tensor that a person asks about
weights      `Weights` and `State`: arrays under the layer's names
tensors      `Tensors`: what a file or a live layer holds, before anybody knows what it is
costing      the polynomials; `cost` is what is told of them, `counters` what other tools would report
inverse      `solve`: budgets → sizes, by the search of `question` in the whole numbers of `integers`
noise        dropout inside a cell and zoneout, as equations
network      `Network`: `modules` and `recurrent` layers, each in its place (`placing`), with `signals` between them
forms        the task forms by name → networks; `drawing` draws a network's weights, `summary` tells its rows
"""
