"""Real layers and files held against what is derived: read, recognize, solve the sizes, compare, report.

Reading      sources → recognizing, by names (groups, numbered, slots, suspects, other_cells), by operators (operators,
             tflite_operators), live (live_options, keras_options), by shapes (unnamed) → readings → reading
check        checking, collecting: solving, arguments, numbers, evidence, custom → report; contract, keeping
convert      converting: joining, adapting, coupling, beside, unreadable → proving → conversion; telling_names,
             delivering
compare      comparing: pairing, rounding, likeness, extras → comparison
identify     identification/
"""
