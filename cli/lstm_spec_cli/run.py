"""`lstm-spec run`: the compiled layer on arrays from files."""

from __future__ import annotations

from typing import Annotated

import typer

from lstm_spec_cli.layer_options import At, Cast, InDialect, StackOptions, spread
from lstm_spec_cli.output import Answer


@spread
def run(
    weights: Annotated[
        str, typer.Argument(help="A file that lstm-spec check reads.", metavar="WEIGHTS", show_default=False)
    ],
    input: Annotated[
        str,
        typer.Option(
            help="An npz with x; if wanted, h0 and c0, and lengths or mask.", metavar="x.npz", show_default=False
        ),
    ],
    output: Annotated[
        str, typer.Option(help="Where to write y and the final state.", metavar="y.npz", show_default=False)
    ],
    chosen: StackOptions,
    at: At = None,
    dialect: InDialect = None,
    cast: Cast = False,
) -> Answer:
    """Run a layer on x (T, B, n) and write y and the final state.

    The layer is the one that the weights show; give its options where they leave no trace in the weights.

    lstm-spec run weights.npz --input x.npz --output y.npz
    """
    import numpy as np

    import lstm_spec as ls
    from lstm_spec_cli.array_files import read_inputs, refuse_other_suffix, refuse_overwriting, write_outputs
    from lstm_spec_cli.weights_files import read_layer

    refuse_overwriting(output, (weights, input))
    refuse_other_suffix(output)
    layer, found = read_layer(weights, chosen, at, dialect)
    inputs = read_inputs(input, layer, found, cast=cast)
    y, state = ls.compile(layer)(inputs.x, found, inputs.state, lengths=inputs.lengths, mask=inputs.mask)
    written = write_outputs(output, layer, y, state)
    strange = int(y.size - np.isfinite(y).sum())
    beware = f"\nwarning: {strange} of y's {y.size} entries are NaN or infinite" if strange else ""
    return Answer(remark=f"wrote {output}: {', '.join(written)}{beware}")
