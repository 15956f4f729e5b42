"""A layer and its weights → the same function in another dialect, and what that loses.

joining         layers that stand apart and are one
beside          what an operator does beside its equations: initial states, lengths, layout
coupling        a gate that is 1 minus another gets weights of its own
adapting        a layer → as the other dialect can write it
unreadable      why there are no numbers to convert
converting      `convert`: from all of these, and handed out only when proven
proving         both sides compiled and run side by side
telling_names   as what the written names will be read again
conversion      the result, as values
delivering      the result → a file
"""
