"""Real layers and files held against what is derived, a room for each question that people ask.

recognition/      a source → readings: which tensors are a layer, and in which dialect; sizes, arrays, `read`
identification/   arrays in any layout and one recorded step → the convention: `identify`
verdict/          a source, its numbers, a contract → a report: `check`, `write_contract`, `read_contract`
conversion/       a layer and its weights → another dialect's tensors, proven, and the file of them: `convert`
comparison/       two sources → whether they are the same model, and else what differs: `compare`
report            the layers and findings of a source, as values
"""
