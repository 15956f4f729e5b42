"""A table → plain text, Markdown or HTML.

A `Table` is words only: what it lists was decided in `listings`. Colours and the width of a terminal are the
command's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings, in groups; every row is as long as `headings`."""

    headings: Row
    groups: tuple[tuple[Row, ...], ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every row, whatever its group."""
        return tuple(row for group in self.groups for row in group)


def plain(table: Table) -> str:
    """Aligned columns, with a blank line between groups.

    >>> print(plain(Table(("name", "shape"), ((("W", "(k, n)"),), (("bias", "(k,)"),)))))
    name  shape
    <BLANKLINE>
    W     (k, n)
    <BLANKLINE>
    bias  (k,)
    """
    widths = [max(map(len, column)) for column in zip(table.headings, *table.rows, strict=True)]

    def line(row: Row) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    blocks = [[table.headings], *table.groups]
    return "\n\n".join("\n".join(map(line, block)) for block in blocks)


def markdown(table: Table) -> str:
    """A pipe table; Markdown has no groups.

    >>> print(markdown(Table(("name", "shape"), ((("W", "(k, n)"),),))))
    | name | shape |
    |---|---|
    | W | (k, n) |
    """

    def line(row: Row) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"

    return "\n".join([line(table.headings), "|---" * len(table.headings) + "|", *map(line, table.rows)])


def html(table: Table) -> str:
    """A `<table>` with one `<tbody>` a group; every word is escaped.

    >>> html(Table(("name",), ((("<W>",),),)))
    '<table><thead><tr><th>name</th></tr></thead><tbody><tr><td>&lt;W&gt;</td></tr></tbody></table>'
    """
    return "".join(_html(table))


def _html(table: Table) -> Iterator[str]:
    yield f"<table><thead>{_html_row(table.headings, 'th')}</thead>"
    for group in table.groups:
        yield f"<tbody>{''.join(_html_row(row, 'td') for row in group)}</tbody>"
    yield "</table>"


def _html_row(row: Row, tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"
