"""Two sources, cell by cell in our own names → whether they are the same model, and else what differs, in words.

comparing    `compare`, from all of these
pairing      which cell of one stands beside which of the other
rounding     how far rounding alone may put them apart
likeness     what a difference looks like: gates that changed places, a transpose, another training
extras       what differs beside the equations: initial states, lengths, merges
comparison   the result, as values
"""
