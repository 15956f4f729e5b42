"""`lstm-spec cells`: the cells of the literature, by name; one of them, two held against each other, a cell's slips."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstm_spec.errors import Finding, OptionError
from lstm_spec_cli.layer_options import InNotation, Json, in_notation
from lstm_spec_cli.output import CONFORMS, DOES_NOT_CONFORM, Answer, answer_json, answer_json_of

if TYPE_CHECKING:
    from lstm_spec.cells.catalogue import Entry
    from lstm_spec.cells.differences import Difference

cells = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


def _cell_argument(metavar: str = "NAME|FILE.cell") -> Any:
    return typer.Argument(help="A name of lstm-spec cells, or a file.", metavar=metavar, show_default=False)


@cells.callback()
def list_cells(context: typer.Context, json: Json = False) -> Answer:
    """Print the names that --cell takes, each with its title and parameters.

    lstm-spec cells

    lstm-spec equations --cell gru
    """
    if context.invoked_subcommand is not None:
        if json:
            command = f"lstm-spec cells {context.invoked_subcommand}"
            raise OptionError(Finding("option", "--json stands before the command", help=f"{command} … --json"))
        return Answer()
    from lstm_spec.cells.catalogue import catalogue
    from lstm_spec.render.tables import Table

    known = catalogue()
    if json:
        return answer_json(known)
    rows = tuple((entry.name, str(entry.count), entry.title) for entry in known.entries)
    return Answer((Table(("name", "parameters", "cell"), (rows,)),))


@cells.command("show")
def show_cell(name: Annotated[str, _cell_argument()], notation: InNotation = None, json: Json = False) -> Answer:
    """Print a cell: where it is from, its equations, its parameters by shape, and how many they are.

    lstm-spec cells show gru

    lstm-spec cells show gru --notation colah
    """
    from lstm_spec.render.tables import Table

    entry = _entry(name)
    if notation is not None:
        return _show_notated(entry, notation, json)
    if json:
        return answer_json(entry)
    rows = tuple((shape, ", ".join(names)) for shape, names in entry.by_shape.items())
    return Answer((str(entry.cell), Table(("shape", "parameters"), (rows,)), f"parameters  {entry.count}"))


def _show_notated(entry: Entry, notation: str, json: bool) -> Answer:
    from lstm_spec.cells.catalogue import Entry
    from lstm_spec.render.notated import notated_text
    from lstm_spec.render.tables import Table
    from lstm_spec.symbolic.renaming import rename_cell

    notated = in_notation(entry.cell, notation)
    renamed = rename_cell(notated)
    other = Entry(entry.name, renamed.cell)
    if json:
        told = renamed.restore_all(other.to_dict()) | {"title": entry.title, "text": notated_text(notated)}
        return answer_json_of(told)
    rows = tuple((shape, renamed.restore(", ".join(names))) for shape, names in other.by_shape.items())
    table = Table(("shape", "parameters"), (rows,))
    return Answer((notated_text(notated), table, f"parameters  {entry.count}"))


@cells.command("diff")
def diff_cells(
    first: Annotated[str, _cell_argument("A")],
    second: Annotated[str, _cell_argument("B")],
    notation: InNotation = None,
    json: Json = False,
) -> Answer:
    """Print what differs between two cells, in words and in equations, and what it costs in parameters.

    A and B are names of lstm-spec cells, files, or lstm for the plain LSTM.

    lstm-spec cells diff lstm udacity
    """
    from lstm_spec.cells.differences import compare_cells

    one, other = _entry(first).cell, _entry(second).cell
    if notation is None:
        difference = compare_cells(one, other)
        return answer_json(difference) if json else Answer(tuple(_told(difference, first, second)))
    from lstm_spec.symbolic.renaming import rename_cell

    renamed, beside = (rename_cell(in_notation(cell, notation)) for cell in (one, other))
    difference = compare_cells(renamed.cell, beside.cell)
    restore = renamed.beside(beside).restore
    if json:
        return answer_json_of(renamed.beside(beside).restore_all(difference.to_dict()))
    return Answer(tuple(_told(difference, first, second, restore)))


def _told(difference: Difference, first: str, second: str, restore: Callable[[str], str] = str) -> list[Any]:
    from lstm_spec.errors import safe
    from lstm_spec.render.tables import Table

    first, second = safe(first, 40), safe(second, 40)
    parts: list[Any] = [f"{second} beside {first}"]
    if not difference.changes:
        return [*parts, "the equations are the same"]
    if difference.same:
        parts.append("both compute the same; they are written in other ways")
    parts += [restore(str(change)) for change in difference.changes]
    if difference.parameters:
        rows = tuple((restore(name), str(before), str(after)) for name, before, after in difference.parameters)
        total = ("total", str(difference.first_count), str(difference.second_count))
        parts.append(Table(("parameter", first, second), (rows, (total,))))
    return [*parts, f"parameters  {difference.cost}"]


@cells.command("lint")
def lint(name: Annotated[str, _cell_argument()], json: Json = False) -> Answer:
    """Look for what is allowed in a cell and seldom meant: a parameter read twice, a gate that changes nothing.

    Exits with 0 when there is no warning, 1 when there is one, 2 when the cell itself is wrong.

    lstm-spec cells lint my.cell
    """
    from lstm_spec.symbolic.lint import lint_cell

    report = lint_cell(_entry(name).cell)
    code = CONFORMS if report.ok else DOES_NOT_CONFORM
    return answer_json(report, code) if json else Answer((str(report),), code=code)


def _entry(name: str) -> Entry:
    """A cell by its name or file. Raises what `read_cell` raises, and CellError when its dimensions do not fit."""
    from lstm_spec.cells.catalogue import Entry
    from lstm_spec_cli.cell_files import read_cell

    entry = Entry(name, read_cell(name))
    _ = entry.shapes
    return entry
