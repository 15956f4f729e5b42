"""Modules one after the other → a network: what flows between them, and the shape of every tensor from input to answer.

Widths are derived from below, never asked twice. Members are named, and their names stand before those of their
tensors: `encoder.l0.W_f`, `head.W`. Computes nothing; `compiler.networks` does.

| task | network | from | to |
|---|---|---|---|
| one to one | `Dense`, `Dense` | (B, n) | (B, m) |
| one to many | `RepeatVector(S)`, a layer, `Dense` | (B, n) | (S, B, m) |
| many to one | a layer with its last output, `Dense` | (T, B, n) | (B, m) |
| many to many, synced | a layer, `Dense` | (T, B, n) | (T, B, m) |
| encoder–decoder | a layer, an `Input`, `Recurrent(…, start=…)`, `Dense` | (T, B, n) and (S, B, m) | (S, B, m) |

| TensorFlow 1 | here |
|---|---|
| `BasicLSTMCell(k)` | `lstm(k=k, forget_bias=1)`, kernel (n + k, 4k) = columns i, g, f, o of `[W U]^T` |
| `DropoutWrapper(cell, p)` | `Dropout(1 - p)` before the layer; `output_keep_prob=p`: after it |
| `DropoutWrapper(…, variational_recurrent=True)` | `Dropout(1 - p, mask="unit")` |
| `MultiRNNCell([cell_0, cell_1])` | two layers, one after the other |
| `MultiRNNCell([cell] * L)` | a layer, and L − 1 times `Shared("cell")`: one set of weights, so n = k |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lstm_spec.errors import Finding, OptionError, SizeError, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.modules import Input, Module
from lstm_spec.layers.options import CHOICES, Layout
from lstm_spec.layers.placing import Placed, begin_members, place_members
from lstm_spec.layers.recurrent import Recurrent
from lstm_spec.layers.signals import Shape, Signal, count_entries, read_choice, read_size
from lstm_spec.layers.sizes import IDENTIFIER
from lstm_spec.symbolic.cell import letter

if TYPE_CHECKING:
    from lstm_spec.layers.summary import NetworkShapes
    from lstm_spec.layers.weights import Weights


@dataclass(frozen=True, init=False)
class Network:
    """Named members, one after the other; each is a `Layer`, or a module of `lstm_spec.layers.modules`.

    >>> from lstm_spec.layers.factory import lstm
    >>> from lstm_spec.layers.modules import Dense
    >>> print(Network(encoder=lstm("n", "k", output="last"), head=Dense("m", "softmax")))
    member   module          takes      gives      parameters
    x        input                      (T, B, n)
    encoder  lstm, last      (T, B, n)  (B, k)     4*k*(k + n + 1)
    head     dense, softmax  (B, k)     (B, m)     m*(k + 1)
    parameters 4*k**2 + k*m + 4*k*n + 4*k + m

    `layout` is that of every sequence, "time" (T, B, ·) or "batch" (B, T, ·). A letter means one size everywhere, but
    for a layer's input, which takes the width below. Raises OptionError where a module cannot take what the one below
    gives, SizeError where two widths differ; each names both.
    """

    modules: tuple[tuple[str, Module], ...]
    layout: Layout

    def __init__(self, *, layout: Layout = "time", **members: Layer | Module) -> None:
        read_choice("layout", layout, CHOICES["layout"])
        read = tuple((name, _read_member(name, member)) for name, member in members.items())
        object.__setattr__(self, "modules", begin_members(read))
        object.__setattr__(self, "layout", layout)
        _ = self.members

    @cached_property
    def members(self) -> tuple[Placed, ...]:
        """Every member with what it takes and gives, the inputs among them."""
        return tuple(place_members(self.modules))

    @property
    def inputs(self) -> dict[str, Signal]:
        """What comes in, by name."""
        return {p.name: p.gives for p in self.members if isinstance(p.module, Input)}

    @property
    def answer(self) -> Signal:
        """What comes out."""
        return self.members[-1].gives

    def __getitem__(self, name: str) -> Placed:
        for placed in self.members:
            if placed.name == name:
                return placed
        raise KeyError(name)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Every parameter, `encoder.l0.W_f` → `(k, n)`, in the order of the members; shared ones once."""
        return {name: shape for p in self.members for name, shape in p.parameters.items()}

    def state_shapes(self) -> dict[str, Shape]:
        """Every state, `encoder.l0.h` → `(k,)`; an array of it is (B, k)."""
        return {name: shape for p in self.members for name, shape in p.states.items()}

    def initial_shapes(self) -> dict[str, Shape]:
        """The states that a caller may give: those of the members that start from no other."""
        return {name: shape for p in self.members if p.start is None for name, shape in p.states.items()}

    @cached_property
    def parameter_count(self) -> Any:
        """All parameters: the sum over the derived shapes, factored."""
        return count_entries(self.parameter_shapes().values())

    @cached_property
    def open_letters(self) -> tuple[str, ...]:
        """The letters that no number was given for, by first appearance; T and B are none of them."""
        signals = [size for p in self.members for size in (p.gives.width, p.gives.time) if size is not None]
        shapes = [size for shape in (self.parameter_shapes() | self.state_shapes()).values() for size in shape]
        found = [str(s) for size in (*signals, *shapes) for s in sorted(size.free_symbols, key=str)]
        return tuple(dict.fromkeys(name for name in found if name not in ("T", "B")))

    def at(self, /, **sizes: Any) -> Network:
        """The same network with numbers (or other letters) for some of its open letters.

        >>> from lstm_spec.layers.factory import lstm
        >>> Network(encoder=lstm()).at(n=5, k=10).parameter_count
        640

        Raises SizeError for a letter that is not open.
        """
        for name in sizes:
            if name not in self.open_letters:
                known = ", ".join(self.open_letters) or "none: every size is a number"
                message = f"the network has no open size {safe(name, 40)}"
                raise SizeError(Finding("size", message, expected=known))
        new = {letter(name): read_size(value, name) for name, value in sizes.items()}
        return Network(layout=self.layout, **{name: module.at(new) for name, module in self.modules})

    def shapes(self, batch: Any = None, time: Any = None) -> NetworkShapes:
        """Every member with what it takes, gives and holds; `batch` and `time` may be numbers ≥ 0."""
        from lstm_spec.layers.summary import describe_network

        return describe_network(self, batch, time)

    def random(self, seed: int, dtype: Any = "float64") -> Weights:
        """Weights uniform in ±1/√k (a layer: k its hidden size; a matrix: its columns), the same for the same seed.

        Raises SizeError when a size is still a letter, TensorError for a dtype that is not float32 or float64.
        """
        from lstm_spec.layers.drawing import draw_network

        return draw_network(self, seed, dtype)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the same as of `shapes()`."""
        return self.shapes().to_dict()

    def __str__(self) -> str:
        return str(self.shapes())


def _read_member(name: str, member: Layer | Module) -> Module:
    """A member under a name that can stand before a tensor's."""
    if not IDENTIFIER.fullmatch(name):
        raise OptionError(Finding("network", f"{safe(name, 40)} is no name for a member", expected="such as encoder"))
    if isinstance(member, Layer):
        if member.layout != "time":
            help = f"Network(layout={member.layout!r}, …)"
            message = f"{name} has a layout of its own; in a network all sequences have one"
            raise OptionError(Finding("network", message, found=member.layout, help=help))
        return Recurrent(member)
    if not isinstance(member, Module) or type(member) is Module:
        known = "a Layer, Input, Dense, Dropout, Embedding, RepeatVector, Recurrent or Shared"
        raise OptionError(Finding("network", f"{name} is no module", expected=known, found=type(member).__name__))
    return member
