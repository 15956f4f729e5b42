"""Two sources, cell by cell in our own names → whether they are the same model, and else what differs, in words.

comparing    `compare`, from all of these
naming       what both call their layers, in one spelling; the order that numbers in names say
pairing      which cell of one stands beside which of the other
places       what put them together; which have changed places, which are called otherwise
rounding     how far rounding alone may put them apart
likeness     what a difference looks like: gates that changed places, a transpose, another training
extras       what differs beside the equations: initial states, lengths, merges
comparison   the result, as values
"""
