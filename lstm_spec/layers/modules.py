"""What a network is made of besides recurrent layers.

A module says what it takes and gives as a `Signal`, and the shapes of its parameters; sizes are numbers or letters.
Computes nothing: `compiler.networks` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, Literal, Self

from lstm_spec.layers.signals import Shape, Signal, json_size, mismatch, put_size, read_choice, read_rate, read_size

Activation = Literal["identity", "softmax", "sigmoid", "tanh", "relu"]
ACTIVATIONS: tuple[Activation, ...] = ("identity", "softmax", "sigmoid", "tanh", "relu")
MaskKind = Literal["element", "sequence", "unit"]
MASKS: tuple[MaskKind, ...] = ("element", "sequence", "unit")


class Module:
    """What every module answers; a recurrent one is `recurrent.Recurrent`."""

    __slots__ = ()
    SIZES: tuple[str, ...] = ()  # the fields that are sizes

    def gives(self, name: str, taken: Signal) -> Signal:
        """What comes out. Raises OptionError when it cannot take what comes in; `name` is the module's."""
        return taken

    def parameters(self, taken: Signal) -> dict[str, Shape]:
        """Its parameters, `W` → `(m, k)`."""
        return {}

    def states(self, taken: Signal) -> dict[str, Shape]:
        """Its states, `l0.h` → `(k,)`."""
        return {}

    @property
    def words(self) -> str:
        """What it is, for a table."""
        raise NotImplementedError

    def at(self, sizes: Mapping[Any, Any]) -> Self:
        """With other sizes for its letters."""
        changes = {name: put_size(getattr(self, name), sizes) for name in self.SIZES}
        return replace(self, **changes) if changes else self  # type: ignore[type-var]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: its kind and its options."""
        options = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]
        return {"kind": type(self).__name__, **options}


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return float(value)
    return json_size(value) if hasattr(value, "free_symbols") else value


@dataclass(frozen=True, slots=True)
class Input(Module):
    """Where a chain of modules begins: vectors of this width, or tokens where it is None.

    A sequence over `time`, or one a sample where that is None. A network's first chain needs it only where its first
    module does not say what it takes; a later one is a second input of the network.
    """

    width: Any = "n"
    time: Any = "T"
    SIZES = ("width", "time")

    def __post_init__(self) -> None:
        for name, letters in (("width", ()), ("time", ("T",))):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, read_size(getattr(self, name), name, letters))

    @property
    def signal(self) -> Signal:
        """What comes in."""
        return Signal(self.width, self.time)

    @property
    def words(self) -> str:
        """What it is, for a table."""
        return "input"


@dataclass(frozen=True, slots=True)
class Dense(Module):
    """`y = activation(W x + b)`, at every step of a sequence: `W` (units × width below), `b` (units).

    softmax is over the units.
    """

    units: Any
    activation: Activation = "identity"
    bias: bool = True
    SIZES = ("units",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", read_size(self.units, "units"))
        read_choice("activation", self.activation, ACTIVATIONS)
        read_choice("bias", self.bias, (True, False))

    def gives(self, name: str, taken: Signal) -> Signal:
        """Vectors, `units` wide."""
        if taken.width is None:
            raise mismatch(name, "vectors", taken, help="an Embedding makes vectors of tokens")
        return Signal(self.units, taken.time)

    def parameters(self, taken: Signal) -> dict[str, Shape]:
        """`W`, and `b` unless it has no bias."""
        return {"W": (self.units, taken.width)} | ({"b": (self.units,)} if self.bias else {})

    @property
    def words(self) -> str:
        """What it is, for a table."""
        shown = [self.activation] * (self.activation != "identity") + ["no bias"] * (not self.bias)
        return ", ".join(["dense", *shown])


@dataclass(frozen=True, slots=True)
class Embedding(Module):
    """A row of `E` (vocabulary × width) for each token, a whole number from 0 to vocabulary − 1."""

    vocabulary: Any
    width: Any
    SIZES = ("vocabulary", "width")

    def __post_init__(self) -> None:
        for name in self.SIZES:
            object.__setattr__(self, name, read_size(getattr(self, name), name))

    def gives(self, name: str, taken: Signal) -> Signal:
        """Vectors for tokens."""
        if taken.width is not None:
            raise mismatch(name, "tokens", taken, help="begin with it, or with Input(width=None)")
        return Signal(self.width, taken.time)

    def parameters(self, taken: Signal) -> dict[str, Shape]:
        """`E`."""
        return {"E": (self.vocabulary, self.width)}

    @property
    def words(self) -> str:
        """What it is, for a table."""
        return "embedding"


@dataclass(frozen=True, slots=True)
class RepeatVector(Module):
    """One vector a sample, at each of `steps` steps: `(B, n)` → `(S, B, n)`."""

    steps: Any = "S"
    SIZES = ("steps",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", read_size(self.steps, "steps"))

    def gives(self, name: str, taken: Signal) -> Signal:
        """A sequence of `steps` equal vectors."""
        if taken.width is None or taken.time is not None:
            raise mismatch(name, "one vector a sample", taken, help='a layer with output="last" gives one')
        return Signal(taken.width, self.steps)

    @property
    def words(self) -> str:
        """What it is, for a table."""
        return "repeat once" if self.steps == 1 else f"repeat {self.steps} times"


@dataclass(frozen=True, slots=True)
class Dropout(Module):
    """In training, each entry is 0 with probability `rate` and else divided by 1 − rate; the identity at inference.

    | mask | drawn for | as in |
    |---|---|---|
    | element | every entry of every step and sample | `torch.nn.LSTM(dropout=)`, between its layers |
    | sequence | every entry of a sample; the same at all steps | Keras's `LSTM(dropout=)`, on x |
    | unit | every entry; the same at all steps and samples | TF1's `DropoutWrapper(variational_recurrent=True)` |

    TF1's `DropoutWrapper` without it is "element", before the cell (input_keep_prob) or after it; rate = 1 − keep_prob.
    """

    rate: Fraction
    mask: MaskKind = "element"

    def __init__(self, rate: int | float | str | Fraction, mask: MaskKind = "element") -> None:
        object.__setattr__(self, "rate", read_rate(rate))
        object.__setattr__(self, "mask", mask)
        read_choice("mask", mask, MASKS)

    def gives(self, name: str, taken: Signal) -> Signal:
        """What comes in."""
        if taken.width is None:
            raise mismatch(name, "vectors", taken, help="an Embedding makes vectors of tokens")
        return taken

    @property
    def words(self) -> str:
        """What it is, for a table."""
        return f"dropout {float(self.rate):g}" + (f", one mask a {self.mask}" if self.mask != "element" else "")


@dataclass(frozen=True, slots=True)
class Shared(Module):
    """Another module of the network again, with the same weights; a recurrent one has states of its own here.

    TF1's `MultiRNNCell([cell] * L)` is one recurrent member and L − 1 of these.
    """

    of: str

    @property
    def words(self) -> str:
        """What it is, for a table."""
        return f"the weights of {self.of}"
