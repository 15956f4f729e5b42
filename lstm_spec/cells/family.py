"""The LSTM by option → its equations.

Each option changes the text of the equations and nothing else; shapes, counts and code follow from the text. Makes no
decision about sizes, frameworks or time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from lstm_spec.errors import Finding, OptionError
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse

Bias = Literal["none", "one", "two"]
Coupling = Literal["f=1-i", "i=1-f"]

BIASES: tuple[Bias, ...] = ("none", "one", "two")
COUPLINGS: tuple[Coupling, ...] = ("f=1-i", "i=1-f")
ACTIVATIONS = {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}
CELL_SEEN = {"i": "c", "f": "c", "o": "c'"}  # peepholes: i and f before the step, o after it


@dataclass(frozen=True, slots=True)
class LstmOptions:
    """What people vary in an LSTM and still call one.

    `bias`: no bias, one a gate, or two a gate (PyTorch, cuDNN and ONNX keep one for W x and one for U h).
    `peephole`: i and f also see c, o also sees c', each through a vector (Gers, Schraudolph & Schmidhuber 2002).
    `coupled`: one gate is 1 minus the other (CIFG of Greff et al. 2017 is f = 1 - i; TensorFlow 1 has i = 1 - f).
    `projection`: h = W_proj (o * tanh(c')), of r rows (Sak, Senior & Beaufays 2014).
    `forget_bias`: a constant added in the forget gate at every step, as TensorFlow 1 and Haiku do; exact.
    """

    bias: Bias = "one"
    peephole: bool = False
    coupled: Coupling | None = None
    projection: bool = False
    forget_bias: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if self.bias not in BIASES:
            raise _bad("bias", self.bias, BIASES)
        for option in ("peephole", "projection"):
            if not isinstance(getattr(self, option), bool):
                raise _bad(option, getattr(self, option), ("True", "False"))
        if self.coupled is not None and self.coupled not in COUPLINGS:
            raise _bad("coupled", self.coupled, COUPLINGS)
        if self.forget_bias and self.coupled == "f=1-i":
            raise OptionError(
                Finding(
                    "options",
                    "forget_bias does not go with coupled='f=1-i'",
                    because="the forget gate is 1 - i there: it has no sum that a constant could join",
                    help="drop one of the two, or couple the other way: i=1-f",
                )
            )


def _bad(option: str, found: object, known: tuple[str, ...]) -> OptionError:
    return OptionError(Finding("option", f"{option}={found!r} is unknown", expected=", ".join(known)))


def lstm_cell(options: LstmOptions | None = None) -> Cell:
    """The equations of an LSTM with these options (plain without).

    >>> print(lstm_cell().defined["f"])
    f = sigmoid(W_f x + U_f h + b_f)

    Shapes: `x[n]`, `h[k]` (`h[r]` with projection), `c[k]`. Source: Gers, Schmidhuber & Cummins 2000, and the sources
    that `LstmOptions` names. Raises OptionError when options contradict each other.
    """
    return _cell(options or LstmOptions())


@lru_cache(maxsize=256)
def _cell(options: LstmOptions) -> Cell:
    return parse("\n".join(_lines(options)), name="lstm")


def _lines(options: LstmOptions) -> Iterator[str]:
    yield "input x[n]"
    yield f"state h[{'r' if options.projection else 'k'}], c[k]"
    yield ""
    for gate in "ifgo":
        yield f"{gate} = {_coupled(gate, options) or f'{ACTIVATIONS[gate]}({_preactivation(gate, options)})'}"
    yield "c' = f * c + i * g"
    yield "h' = W_proj (o * tanh(c'))" if options.projection else "h' = o * tanh(c')"


def _coupled(gate: str, options: LstmOptions) -> str | None:
    return f"1 - {options.coupled[-1]}" if options.coupled and options.coupled[0] == gate else None


def _preactivation(gate: str, options: LstmOptions) -> str:
    """`W_f x + U_f h + b_f`, with what the options add."""
    two = options.bias == "two"
    terms = [f"W_{gate} x", *([f"b_W{gate}"] if two else []), f"U_{gate} h", *([f"b_U{gate}"] if two else [])]
    if options.peephole and gate != "g":
        terms.append(f"p_{gate} * {CELL_SEEN[gate]}")
    if options.bias == "one":
        terms.append(f"b_{gate}")
    constant = options.forget_bias if gate == "f" else Fraction(0)
    sign = "-" if constant < 0 else "+"
    return " + ".join(terms) + (f" {sign} {_written(abs(constant))}" if constant else "")


def _written(value: Fraction) -> str:
    """A positive fraction as the language writes numbers: `1`, `0.5`, `1 / 3`."""
    if value.denominator == 1:
        return str(value)
    decimal = repr(float(value))
    return decimal if Fraction(decimal) == value else f"{value.numerator} / {value.denominator}"
