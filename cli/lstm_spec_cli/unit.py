"""`lstm-spec unit`: a cell as one of its units sees it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

import typer

from lstm_spec_cli.layer_options import CellOptions, InNotation, Json, StackOptions, in_notation, spread
from lstm_spec_cli.output import Answer, answer_json, answer_json_of

if TYPE_CHECKING:
    from lstm_spec.layers.layer import Layer


@dataclass(frozen=True, slots=True)
class UnitOptions(CellOptions):
    """Which cell, and its sizes by their letters."""

    n: Annotated[str | None, typer.Option("--n", help="Input features.", metavar="N", show_default=False)] = None
    k: Annotated[str | None, typer.Option("--k", help="Units.", metavar="K", show_default=False)] = None
    size: Annotated[
        list[str] | None,
        typer.Option(help="Another size by its letter; may be repeated.", metavar="r=3", show_default=False),
    ] = None

    def read_sized(self) -> Layer:
        """The cell with its sizes. Raises what `Layer` raises."""
        cell = {f.name: getattr(self, f.name) for f in fields(CellOptions)}
        given = {"n": self.n, "k": self.k}
        sizes = [f"{letter}={size}" for letter, size in given.items() if size is not None]
        return StackOptions(**cell, size=[*sizes, *(self.size or ())]).read_layer()


@spread
def unit(
    unit: Annotated[str, typer.Argument(help="Which unit, counted from 1.", metavar="UNIT", show_default=False)],
    chosen: UnitOptions,
    notation: InNotation = None,
    json: Json = False,
) -> Answer:
    """Print what one unit of a cell reads, computes, learns and puts out, and how units depend on each other.

    lstm-spec unit 3 --n 5 --k 10

    lstm-spec unit 3 --n 5 --k 10 --cell gru

    lstm-spec unit 3 --n 5 --k 10 --notation colah
    """
    from lstm_spec.render.units import tell_unit
    from lstm_spec.symbolic.units import describe_unit

    layer = chosen.read_sized()
    if notation is not None:
        return _told_in(notation, layer, unit, json)
    described = describe_unit(layer.cell, unit, layer.sizes)
    return answer_json(described) if json else Answer((tell_unit(described),))


def _told_in(notation: str, layer: Layer, unit: str, json: bool) -> Answer:
    """The same in a school's symbols; beside the plain LSTM where no symbol means two things in both."""
    from lstm_spec.cells.family import lstm_cell
    from lstm_spec.errors import OptionError
    from lstm_spec.render.units import tell_unit
    from lstm_spec.symbolic.renaming import rename_cell
    from lstm_spec.symbolic.units import describe_unit

    renamed = rename_cell(in_notation(layer.cell, notation))
    described = describe_unit(renamed.cell, unit, layer.sizes)
    if json:
        return answer_json_of(renamed.restore_all(described.to_dict()))
    plain = rename_cell(in_notation(lstm_cell(), notation))
    try:
        both = renamed.beside(plain)
    except OptionError:
        return Answer((renamed.restore(tell_unit(described, beside_plain=False)),))
    return Answer((both.restore(tell_unit(described, plain.cell)),))
