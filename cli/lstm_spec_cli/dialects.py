"""`lstm-spec dialects`: how frameworks write an LSTM down, and where each gate lies in the tensors of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstm_spec.errors import Finding, OptionError
from lstm_spec_cli.layer_options import Json
from lstm_spec_cli.output import Answer, answer_json

if TYPE_CHECKING:
    from lstm_spec.dialects.facts import Facts

dialects = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@dataclass(frozen=True, slots=True)
class Listed:
    """Every dialect, as JSON."""

    facts: tuple[Facts, ...]

    def to_dict(self) -> dict[str, Any]:
        """A line a dialect."""
        return {"dialects": [facts.summary() for facts in self.facts]}


@dataclass(frozen=True, slots=True)
class Shown:
    """One dialect at some sizes, as JSON."""

    facts: Facts
    sizes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The facts, and the blocks of every tensor."""
        return self.facts.to_dict(*self.sizes)


@dialects.callback()
def list_dialects(context: typer.Context, json: Json = False) -> Answer:
    """Print the names that --dialect takes: gate order, orientation, biases, order of the states, and evidence.

    lstm-spec dialects

    lstm-spec dialects show tf1
    """
    if context.invoked_subcommand is not None:
        if json:
            command = f"lstm-spec dialects {context.invoked_subcommand}"
            raise OptionError(Finding("option", "--json stands before the command", help=f"{command} … --json"))
        return Answer()
    from lstm_spec.dialects import DIALECTS
    from lstm_spec.dialects.facts import Facts
    from lstm_spec.render.dialects import list_dialects

    known = tuple(Facts(dialect) for dialect in DIALECTS.values())
    return answer_json(Listed(known)) if json else Answer((list_dialects(known),))


@dialects.command("show", context_settings={"ignore_unknown_options": True})
def show_dialect(
    name: Annotated[str, typer.Argument(help="A name of lstm-spec dialects.", metavar="NAME", show_default=False)],
    sizes: Annotated[
        list[str] | None,
        typer.Argument(help="n, then k, then r: numbers, or letters.", metavar="SIZES", show_default=False),
    ] = None,
    json: Json = False,
) -> Answer:
    """Draw which block of which tensor is which gate, and tell what else there is to know of a dialect.

    lstm-spec dialects show keras

    lstm-spec dialects show onnx 3 4
    """
    from lstm_spec.dialects import get
    from lstm_spec.dialects.facts import Facts
    from lstm_spec.render.dialects import tell_dialect

    facts, given = Facts(get(name)), tuple(sizes or ())
    return answer_json(Shown(facts, given)) if json else Answer(tuple(tell_dialect(facts, *given)))
