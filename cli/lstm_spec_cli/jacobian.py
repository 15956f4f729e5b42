"""`lstm-spec jacobian`: what a step does to a small change of the states, derived, or in numbers for given weights."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec_cli.layer_options import At, CellOptions, InDialect, Json, StackOptions, one_of, spread
from lstm_spec_cli.output import Answer, answer_json

if TYPE_CHECKING:
    from lstm_spec.symbolic.blocks import Jacobian

OF_NUMBERS = ("input", "output", "picture", "sample", "member", "at", "dialect")


@spread
def jacobian(
    chosen: StackOptions,
    weights: Annotated[
        str | None, typer.Argument(help="A file of weights, for numbers.", metavar="FILE", show_default=False)
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            help="An npz with x; if wanted, h0 and c0, and lengths or mask.", metavar="x.npz", show_default=False
        ),
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="How to write what is derived.", metavar="text|latex", show_default=False)
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Where to write every array.", metavar="j.npz", show_default=False)
    ] = None,
    picture: Annotated[
        str | None, typer.Option(help="Where to draw the norms over time.", metavar="j.svg", show_default=False)
    ] = None,
    sample: Annotated[
        str | None, typer.Option(help="Which sample, from 0; 0 without.", metavar="B", show_default=False)
    ] = None,
    member: Annotated[
        str | None, typer.Option(help="Which cell's picture; l0 without.", metavar="l0.reverse", show_default=False)
    ] = None,
    at: At = None,
    dialect: InDialect = None,
    json: Json = False,
) -> Answer:
    """Print the Jacobian of one step, and why a state remembers; with weights and x, in numbers and over time.

    lstm-spec jacobian --cell gru

    lstm-spec jacobian weights.npz --input x.npz --picture j.svg
    """
    given = dict(zip(OF_NUMBERS, (input, output, picture, sample, member, at, dialect), strict=True))
    if weights is None:
        return _derived(chosen, format, given, json)
    if format is not None:
        raise OptionError(Finding("options", "--format writes what is derived, and FILE asks for numbers"))
    if input is None:
        raise OptionError(Finding("options", "the numbers depend on x", help="add --input x.npz"))
    return _computed(weights, input, chosen, given, json)


def _derived(chosen: StackOptions, format: str | None, given: dict[str, Any], json: bool) -> Answer:
    from lstm_spec.render.jacobian import jacobian_latex, tell_jacobian
    from lstm_spec.symbolic.blocks import derive_jacobian

    own = {f.name for f in fields(CellOptions)}
    over_time = [f for f in fields(StackOptions) if f.name not in own]
    given = given | {f.name: getattr(chosen, f.name) for f in over_time if getattr(chosen, f.name) != f.default}
    idle = next((name for name, value in given.items() if value is not None), None)
    if idle is not None:
        raise OptionError(Finding("options", f"--{idle} goes with a file of weights", help="name FILE"))

    if json and format is not None:
        raise OptionError(Finding("options", "--json has what is derived as text", help="leave out --format"))

    def told(found: Jacobian) -> tuple[str, ...]:
        return tuple(tell_jacobian(found))

    write: Any = one_of("format", format or "text", {"text": told, "latex": lambda found: (jacobian_latex(found),)})
    found = derive_jacobian(chosen.read_cell())
    return answer_json(found) if json else Answer(write(found))


def _computed(weights: str, input: str, chosen: StackOptions, given: dict[str, str | None], json: bool) -> Answer:
    import numpy as np

    from lstm_spec.compiler.jacobians import jacobian_layer
    from lstm_spec.render.jacobian import DEFINED, draw_jacobians, list_jacobians
    from lstm_spec_cli.array_files import hold_outputs, read_inputs, write_both
    from lstm_spec_cli.weights_files import read_layer

    output, picture = given["output"], given["picture"]
    if picture is None and given["member"] is not None:
        raise OptionError(Finding("options", "--member chooses what --picture shows", help="add --picture"))
    hold_outputs(output, picture, (weights, input))
    layer, found = read_layer(weights, chosen, given["at"], given["dialect"])
    one = _one_sample(read_inputs(input, layer), layer.layout, given["sample"])
    if one["x"].ndim == 3 and one["x"].shape[0 if layer.layout == "time" else 1] == 0:
        raise OptionError(Finding("input", "x has no steps: T = 0", safe(input, None), "T ≥ 1"))
    computed = jacobian_layer(layer, found, **one)
    drawn = draw_jacobians(computed, 0, given["member"]) if picture is not None else ""
    remark = write_both(output, computed.arrays, picture, drawn)
    if strange := [name for name, steps in computed.steps.items() if not np.isfinite(steps).all()]:
        remark += "\n" * bool(remark) + f"warning: the Jacobians of {', '.join(strange)} hold NaN or infinity"
    return Answer(answer_json(computed).parts if json else (list_jacobians(computed), DEFINED), remark=remark)


def _one_sample(inputs: Any, layout: str, sample: str | None) -> dict[str, Any]:
    """The arrays of one sample, still as a batch. What has no batch is left for the library to refuse."""
    from lstm_spec_cli.array_files import read_sample

    number = read_sample(sample)
    axis = 1 if layout == "time" else 0
    given = {"x": inputs.x, "state": inputs.state, "lengths": inputs.lengths, "mask": inputs.mask}
    if inputs.x.ndim != 3:
        return given
    samples = inputs.x.shape[axis]
    if not 0 <= number < samples:
        expected = f"0 to {samples - 1}" if samples else "none: x has no samples, B = 0"
        raise OptionError(Finding("sample", f"there is no sample {number}", expected=expected))
    part = slice(number, number + 1)

    def cut(array: Any, at: int) -> Any:
        fits = array is not None and array.ndim > at and array.shape[at] == samples
        return array[(slice(None),) * at + (part,)] if fits else array

    states = None if inputs.state is None else {name: cut(array, 0) for name, array in inputs.state.items()}
    lengths, mask = cut(inputs.lengths, 0), cut(inputs.mask, axis)
    return {"x": cut(inputs.x, axis), "state": states, "lengths": lengths, "mask": mask}
