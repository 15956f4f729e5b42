"""Values → text, Markdown, HTML and LaTeX. Everything here returns a string; nothing prints.

Cell ──mathematics──▶ LaTeX, Markdown            the equations with time indices
LayerShapes, Layer ──listings──▶ Table ──tables──▶ plain text, Markdown, HTML
any value ──notebook──▶ what a notebook shows
"""
