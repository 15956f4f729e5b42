"""`lstm-spec solve`: from a budget back to sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstm_spec.errors import Finding, OptionError, SizeError, safe
from lstm_spec_cli.layer_options import Json, StackOptions, spread, whole
from lstm_spec_cli.output import Answer, answer_json

if TYPE_CHECKING:
    from lstm_spec.layers.layer import Layer
    from lstm_spec.layers.options import Direction

UNKNOWN_LAYERS = "L"
Size = Annotated[str | None, typer.Option(help="A size that is known.", metavar="NUMBER", show_default=False)]


def _budget(help: str, *names: str) -> Any:
    return typer.Option(*names, help=help, metavar="NUMBER", show_default=False, rich_help_panel="Budgets")


@dataclass(frozen=True, slots=True)
class KnownSizes(StackOptions):
    """A layer with some sizes by their letters; the others are solved for."""

    n: Size = None
    k: Size = None
    r: Size = None

    def read_open_layer(self) -> tuple[Layer, bool]:
        """The layer with letters, and whether L is asked for."""
        named = [f"{name}={value}" for name in ("n", "k", "r") if (value := getattr(self, name)) is not None]
        asks_layers = self.layers == UNKNOWN_LAYERS
        told = replace(self, size=[*(self.size or ()), *named], layers="1" if asks_layers else self.layers)
        return told.build_layer((), "sequence"), asks_layers


@spread
def solve(
    chosen: KnownSizes,
    params: Annotated[str | None, _budget("Parameters, e.g. 1e6 or 3.5M.", "--params")] = None,
    macs: Annotated[str | None, _budget("Multiply-accumulates of B T steps.", "--macs")] = None,
    bytes: Annotated[str | None, _budget("Bytes of the parameters.", "--bytes")] = None,
    memory: Annotated[str | None, _budget("Bytes of activations at once.", "--memory")] = None,
    kept: Annotated[str | None, _budget("Bytes that backpropagation keeps.", "--kept")] = None,
    same_as: Annotated[
        str | None,
        typer.Option(
            help="As many parameters as another cell, with its sizes.",
            metavar="'gru 128 256'",
            show_default=False,
            rich_help_panel="Budgets",
        ),
    ] = None,
    batch: Annotated[str, typer.Option(help="B of the budget; 1 without.", metavar="B", show_default=False)] = "1",
    time: Annotated[str, typer.Option(help="T of the budget; 1 without.", metavar="T", show_default=False)] = "1",
    dtype: Annotated[
        str, typer.Option(help="Of the bytes; float32 without.", metavar="float32|float16|…", show_default=False)
    ] = "float32",
    multiple: Annotated[
        str, typer.Option(help="Sizes that are multiples of it, e.g. 8.", metavar="M", show_default=False)
    ] = "1",
    exact: Annotated[
        bool | None, typer.Option("--exact/--at-most", help="Meet the budget exactly, or stay within it.")
    ] = None,
    json: Json = False,
) -> Answer:
    """Print the sizes that a budget allows: what is left out of --n, --k, --r is solved for, and L with --layers L.

    lstm-spec solve --params 1e6 --n 128

    lstm-spec solve --same-as "gru 128 256" --n 128 --multiple 8
    """
    from lstm_spec.layers.inverse import solve as solve_sizes

    layer, asks_layers = chosen.read_open_layer()
    solution = solve_sizes(
        layer,
        parameters=params,
        macs=macs,
        bytes=bytes,
        memory=memory,
        kept=kept,
        same_as=None if same_as is None else read_other(same_as),
        layers=asks_layers,
        batch=whole(batch),
        time=whole(time),
        dtype=dtype,
        multiple=whole(multiple),
        exact=exact,
    )
    if json:
        return answer_json(solution)
    from lstm_spec.render.solutions import explain_solution, list_solution

    return Answer((explain_solution(solution), list_solution(solution)))


def read_other(given: str) -> Layer:
    """The layer of `gru 128 256`, `my.cell k=256 n=128 layers=2 bidirectional`: a cell, its sizes, its stack.

    Raises OptionError and SizeError.
    """
    from lstm_spec.layers.layer import Layer
    from lstm_spec.layers.sizes import bind_sizes
    from lstm_spec_cli.cell_files import read_cell

    name, *words = given.split() or [""]
    if not name:
        raise OptionError(Finding("option", "--same-as names no cell", expected="a cell and its sizes: 'gru 128 256'"))
    cell = read_cell(name)
    positional = [word for word in words if "=" not in word and word != "bidirectional"]
    named: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in named:
            raise SizeError(Finding("size", f"--same-as: {safe(key, 40)} is given twice"))
        if equals:
            named[key] = value
    layers = whole(named.pop("layers", "1"))
    direction: Direction = "both" if "bidirectional" in words else "forward"
    sizes = bind_sizes(cell, positional, named)
    return Layer(cell, layers=layers, direction=direction, **sizes)
