"""Arrays in any layout and one recorded step → the convention that they were written in.

Step, arrays ──layouts──▶ Layout ──sums──▶ what each block adds to its gate ──searching──▶ Hypotheses ──identifying──▶
Identification; `explaining` says the same of one dialect's reading: as which it fails, as which it agrees, and why;
`transposing` tries one gate's block the other way round where nothing agrees.
"""
