"""The options that describe a layer, for every command that takes one; and the layer that they describe.

A command says `chosen: LayerOptions`, and `spread` makes an option of each field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from lstm_spec.errors import Finding, OptionError, SizeError, safe

if TYPE_CHECKING:
    from lstm_spec.layers.layer import Layer
    from lstm_spec.symbolic.cell import Cell
    from lstm_spec.symbolic.notation import Notated
    from lstm_spec_cli.output import Answer

SIZED = {"projection": "r", "gate_hidden": "j"}  # options that bring a size, and its letter
IN_CELL, IN_LAYER = "Options of the cell", "Options of the layer"


def _option(help: str, *names: str, metavar: str | None = None, panel: str = IN_LAYER) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, show_default=False)


@dataclass(frozen=True, slots=True)
class CellOptions:
    """Which equations: those of a file, or the LSTM's with options."""

    cell: Annotated[
        str | None, _option("Another cell: a name of lstm-spec cells, or a file.", metavar="NAME|FILE.cell")
    ] = None
    bias: Annotated[str | None, _option("Biases a gate; one without.", metavar="none|one|two")] = None
    peephole: Annotated[bool, _option("Gates also see the cell state.", "--peephole")] = False
    coupled: Annotated[str | None, _option("Couple two gates.", metavar="f=1-i|i=1-f")] = None
    projection: Annotated[str | None, _option("Project h to R rows.", metavar="R")] = None
    projection_bias: Annotated[bool, _option("The projection adds a bias.", "--projection-bias")] = False
    forget_bias: Annotated[str | None, _option("A constant added in the forget gate.", metavar="X")] = None
    full_peephole: Annotated[bool, _option("Peepholes through full matrices.", "--full-peephole")] = False
    peephole_output: Annotated[str | None, _option("Which c the output gate sees.", metavar="after|before")] = None
    gate_activation: Annotated[str | None, _option("Of i, f and o; sigmoid without.", metavar="FUNCTION")] = None
    candidate_activation: Annotated[str | None, _option("Of g; tanh without.", metavar="FUNCTION")] = None
    output_activation: Annotated[str | None, _option("Of c' where h reads it; tanh without.", metavar="FUNCTION")] = (
        None
    )
    layer_norm: Annotated[str | None, _option("As published there.", metavar="ba|tfa|tf1|tflite")] = None
    clip: Annotated[str | None, _option("Hold pre-activations in -X to X.", metavar="X")] = None
    clip_cell: Annotated[str | None, _option("Hold the stored c' in -X to X.", metavar="X")] = None
    clip_projection: Annotated[str | None, _option("Hold the projected h' in -X to X.", metavar="X")] = None
    gate_hidden: Annotated[str | None, _option("A hidden layer of J units in each gate.", metavar="J")] = None

    def read_cell(self) -> Cell:
        """The cell that was asked for. Raises OptionError, CellError and FileError."""
        if self.cell is None:
            from lstm_spec.layers.factory import lstm

            return lstm(**self.of_cell()).cell
        if given := [_flag(name) for name in self.of_cell()]:
            raise OptionError(
                Finding(
                    "options",
                    f"--cell does not go with {', '.join(given)}",
                    because=f"{', '.join(given)} would change the LSTM's equations, and --cell brings its own",
                    help="write it into the equations, or drop --cell",
                )
            )
        from lstm_spec_cli.cell_files import read_cell

        return read_cell(self.cell)

    def of_cell(self) -> dict[str, Any]:
        """The LSTM's options that were given, as `lstm` takes them; what comes with a size is a flag here."""
        options = {f.name: getattr(self, f.name) for f in fields(CellOptions) if f.name != "cell"}
        options |= {name: options[name] is not None for name in SIZED}
        if options.pop("full_peephole"):
            options["peephole"] = "full"
        return {name: value for name, value in options.items() if value not in (None, False)}


@dataclass(frozen=True, slots=True)
class StackOptions(CellOptions):
    """Which layer over that cell, with letters for the sizes that are not given."""

    layers: Annotated[str, _option("Cells on each other; 1 without.", metavar="L")] = "1"
    bidirectional: Annotated[bool, _option("One cell each way.", "--bidirectional")] = False
    reverse: Annotated[bool, _option("Read from the last step to the first.", "--reverse")] = False
    layout: Annotated[str, _option("x is (T, B, n), or (B, T, n); time without.", metavar="time|batch")] = "time"
    merge: Annotated[
        str, _option("Both directions' outputs; concat without.", metavar="concat|sum|mul|average|apart")
    ] = "concat"
    padding: Annotated[str, _option("y after a sequence's end; zero without.", metavar="zero|repeat|run")] = "zero"
    size: Annotated[list[str] | None, _option("A size by its letter; may be repeated.", metavar="r=3")] = None

    def read_layer(self) -> Layer:
        """The layer that was asked for. Raises what `lstm` and `Layer` raise."""
        return self.build_layer((), "sequence")

    def build_layer(self, sizes: tuple[str, ...], output: Any) -> Layer:
        """The layer with these positional sizes and this output."""
        from lstm_spec.layers.factory import lstm
        from lstm_spec.layers.sizes import bind_sizes

        over_time: dict[str, Any] = {
            "layers": whole(self.layers),
            "bidirectional": self.bidirectional,
            "reverse": self.reverse,
            "layout": self.layout,
            "output": output,
            "merge": self.merge,
            "padding": self.padding,
        }
        if self.cell is None:
            layer = lstm(**self.of_cell(), **over_time)
        else:
            layer = lstm(**over_time).with_(cell=self.read_cell())
        return layer.with_(**bind_sizes(layer.cell, sizes, self._named_sizes()))

    def _named_sizes(self) -> dict[str, str]:
        named = {letter: given for name, letter in SIZED.items() if (given := getattr(self, name)) is not None}
        for given in self.size or ():
            name, equals, value = given.partition("=")
            if not equals:
                raise OptionError(Finding("option", f"--size {safe(given, 40)} has no =", expected="e.g. --size r=3"))
            if name in named:
                raise SizeError(
                    Finding(
                        "size",
                        f"{safe(name, 40)} is given twice",
                        found=f"{safe(named[name], 40)} and {safe(value, 40)}",
                    )
                )
            named[name] = value
        return named


@dataclass(frozen=True, slots=True)
class LayerOptions(StackOptions):
    """A layer with sizes by position."""

    sizes: Annotated[
        list[str] | None,
        typer.Argument(
            help="n, then k, then the cell's other sizes: numbers, or letters.", metavar="SIZES", show_default=False
        ),
    ] = None
    output: Annotated[str, _option("Every step of y, or the last; sequence without.", metavar="sequence|last")] = (
        "sequence"
    )

    def read_layer(self) -> Layer:
        """The layer that was asked for. Raises what `lstm` and `Layer` raise."""
        return self.build_layer(tuple(self.sizes or ()), self.output)


def spread(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """`f(chosen: LayerOptions, json: bool)` → a command with a parameter for each field of `LayerOptions`."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if name != "return" and is_dataclass(hint)}
    parameters: list[Parameter] = []
    for parameter in signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _parameters(groups[parameter.name])
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=Parameter.KEYWORD_ONLY))

    def call(**given: Any) -> Answer:
        positional = [*(given.get("sizes") or ()), *filter(None, [given.get("unit")])]
        refuse_unknown(positional, parameters, command.__name__)
        made = {name: group(**{f.name: given.pop(f.name) for f in fields(group)}) for name, group in groups.items()}
        return command(**made, **given)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def _parameters(group: type) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(
            f.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if f.default is MISSING else f.default,
            annotation=hints[f.name],
        )
        for f in fields(group)
    ]


def refuse_unknown(sizes: Sequence[str], parameters: list[Parameter], command: str) -> None:
    """Raise OptionError for a size that was meant as an option: it has a dash and is no number."""
    from difflib import get_close_matches

    known = ["--help", *(_flag(p.name) for p in parameters if p.name not in ("sizes", "unit"))]
    for given in sizes:
        name = given.partition("=")[0]
        if name.startswith("-") and not name[1:2].isdigit():
            near = get_close_matches(name, known, n=1)
            help = f"did you mean {near[0]}?" if near else f"lstm-spec {command} --help lists the options"
            raise OptionError(Finding("option", f"there is no option {safe(name, 40)}", help=help))


def refuse_beside_own_names(given: Mapping[str, str | None]) -> None:
    """Raise OptionError for an option that reads another's names, where a layer of one's own is described."""
    for flag, value in given.items():
        if value is not None:
            raise OptionError(
                Finding(
                    "options",
                    f"{flag} does not go with a layer that is described",
                    because="the tensors are then read by the names of its equations: l0.W_f, or W_f",
                    help=f"drop {flag}, or the options that describe the layer",
                )
            )


def whole(given: str | None) -> Any:
    """Digits as a number; anything else as it is, for the library to refuse."""
    is_whole = given is not None and given.isascii() and given.removeprefix("-").isdigit() and len(given) <= 30
    return int(given) if is_whole and given is not None else given


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


SCHOOLS = "colah|ng|greff|graves|keras|pytorch|onnx|tf1|slater|udacity"
InNotation = Annotated[
    str | None, typer.Option("--notation", help="In another school's symbols.", metavar=SCHOOLS, show_default=False)
]
At = Annotated[str | None, typer.Option(help="Which of the file's layers.", metavar="NAME", show_default=False)]
InDialect = Annotated[
    str | None,
    typer.Option(help="Whose names and gate order; told from the file without.", metavar="NAME", show_default=False),
]
Cast = Annotated[bool, typer.Option("--cast", help="Round x and the state to the weights' dtype.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.", show_default=False)]


def in_notation(cell: Cell, notation: str) -> Notated:
    """The cell in the notation of that name. Raises OptionError when there is none, or two names would look alike."""
    from lstm_spec.symbolic.notation import notate
    from lstm_spec.symbolic.schools import get

    return notate(cell, get(notation))


def one_of(option: str, given: str, choices: Mapping[str, Any]) -> Any:
    """What the choice stands for. Raises OptionError when it is none."""
    if given not in choices:
        raise OptionError(Finding("option", f"{option}={safe(given, 40)!r} is unknown", expected=", ".join(choices)))
    return choices[given]
