"""`lstm-spec glossary`: what people's words are called here, and who means what by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lstm_spec_cli.layer_options import Json
from lstm_spec_cli.output import Answer, answer_json

if TYPE_CHECKING:
    from lstm_spec.dialects.glossary import Glossary
    from lstm_spec.render.tables import Table


def glossary(
    word: Annotated[
        str | None, typer.Argument(help="e.g. units, hidden_size, cell; all without.", show_default=False)
    ] = None,
    json: Json = False,
) -> Answer:
    """Print what a word means here, and what others mean by it.

    lstm-spec glossary

    lstm-spec glossary hidden_size
    """
    from lstm_spec.dialects.glossary import Glossary, all_entries, look_up

    found = Glossary(all_entries()) if word is None else look_up(word)
    if json:
        return answer_json(found)
    return Answer((_list_words(found),)) if word is None else Answer(_explain(found))


def _list_words(found: Glossary) -> Table:
    from lstm_spec.render.tables import Table

    return Table(("word", "here"), (tuple((entry.words[0], entry.here) for entry in found.entries),))


def _explain(found: Glossary) -> tuple[str | Table, ...]:
    """For each entry: what it is here, its other words, and who means what."""
    from lstm_spec.render.tables import Table

    parts: list[str | Table] = []
    for entry in found.entries:
        parts.append(f"{entry.here}\nwords  {', '.join(entry.words)}")
        if entry.meanings:
            rows = tuple((meaning.who, meaning.means, meaning.source) for meaning in entry.meanings)
            parts.append(Table(("who", "means", "source"), (rows,)))
    return tuple(parts)
