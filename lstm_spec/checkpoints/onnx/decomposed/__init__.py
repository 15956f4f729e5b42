"""An ONNX graph → the LSTMs that it writes out in simple nodes, as operators; and findings of what recurs unread.

forms           a sum of constant matrices times values, plus constant vectors
linear_forms    a value of the graph → the form that it is, followed backwards
activations     what is applied to a value, by one node or by several → our function
steps           the nodes of one step: c' = f * c + i * g and h' = o * tanh(c'), with the options that ours have
cells           what is read of a step: the matrices of x and of h, and the options
carrying        steps → cells: each must take h and c from the one before
ways            what a value depends on, and through what
recurrences     the net under it all: what recurs through a matrix and was read as nothing
gathering       the graph → operators and findings, from all of these: `gather_decomposed`
"""
