"""A layer → a program → source → something that runs. Every stage is a value that can be printed.

    Layer ──lowering──▶ Program ──passes──▶ Program ──targets──▶ source ──compiled──▶ Compiled ──▶ arrays
                           └──interpreter──▶ arrays, op by op: the oracle

program      `Program` and its regions, of `ops`; `verifier` holds it after each pass
lowering     equations as ops (`building`, with `numbers`), the directions put together (`merging`); `backward` adds the
             loops of the gradient
passes       the recipe; `gates` side by side, `leaving` the backward loops, `sums` for all of them
targets/     Program → NumPy source: what is Python in it, and where size letters have their numbers
compiled     `compile`: source loaded, arrays held to the derived shapes (`holding`, `masks`)
networks     `compile_network`: `arrays_in` and the masks of `dropout` beside compiled layers
tracing      `trace`: every named value at each step; `trace_summary` its rows
jacobians    `jacobian`: the step's derivatives in numbers; `products` how they multiply over time
bounding     `bounds`: with weights by the `unit_ranges` of a cell, over `ranges` of arrays
"""
