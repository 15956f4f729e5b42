"""`lstm-spec cells`: the cells of the literature, by name."""

from __future__ import annotations

from lstm_spec_cli.output import Answer


def cells() -> Answer:
    """Print the names that --cell takes, each with its title.

    lstm-spec equations --cell gru
    """
    from lstm_spec.cells.catalogue import get, names, title
    from lstm_spec.render.tables import Table

    rows = tuple((name, title(get(name))) for name in names())
    return Answer((Table(("name", "cell"), (rows,)),))
