"""Hypothesis strategies: well-formed cells with the shapes they must have, LSTM options, layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from hypothesis import strategies as st
from sympy import Integer

from lstm_spec.cells.family import BIASES, COUPLINGS, LstmOptions
from lstm_spec.cells.options import CHOICES
from lstm_spec.errors import OptionError
from lstm_spec.layers.layer import Layer
from lstm_spec.symbolic.cell import Cell, letter
from lstm_spec.symbolic.language import parse
from tests.laws import tried

law, few = tried(100), tried(30)  # `few` is for laws whose single example is slow

# ---- cells: dimensionally right, with the shapes they must have ----

Size = tuple[str, ...]  # the letters of a sum, sorted: ("k", "k", "n") is 2k + n


@dataclass(frozen=True)
class Drawn:
    """A cell, and the shape of each of its names by construction."""

    cell: Cell
    shapes: dict[str, tuple[Any, ...]]


def as_sum(size: Size) -> Any:
    """A size as the library has it."""
    return sum((letter(name) for name in size), Integer(0))


def written(size: Size) -> str:
    """A size as the language has it: `2k + n`."""
    return " + ".join(f"{c if c > 1 else ''}{name}" for name, c in Counter(size).items())


class _Author:
    """Writes the equations of one cell, keeping book of every name's shape."""

    def __init__(self, draw: st.DrawFn, letters: Sequence[str]) -> None:
        self.draw, self.letters = draw, letters
        self.shapes: dict[str, tuple[Size, ...]] = {}
        self.vectors: dict[str, Size] = {}  # what an equation may read
        self.lets: list[str] = []
        self.unread: set[str] = set()

    def choose(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def size(self) -> Size:
        return tuple(sorted(self.draw(st.lists(st.sampled_from(list(self.letters)), min_size=1, max_size=2))))

    def name(self, stem: str, *size: Size) -> str:
        name = f"{stem}{len(self.shapes)}"
        self.shapes[name] = size
        return name

    def let(self, name: str) -> str:
        self.lets.append(f"{name}[{', '.join(map(written, self.shapes[name]))}]")
        return name

    def read(self, name: str) -> str:
        self.unread.discard(name)
        return name

    def known(self, size: Size, depth: int) -> str | None:
        """An expression whose size follows from what it reads; None where nothing has that size."""
        pool = [name for name, found in self.vectors.items() if found == size]
        ways: list[Callable[[], str]] = [lambda: self.read(self.choose(*pool))] * bool(pool)
        if len(size) > 1 and all(any(v == (part,) for v in self.vectors.values()) for part in size):
            ways.append(lambda: f"[{', '.join(str(self.known((part,), 0)) for part in size)}]")
        ways += [lambda: self.stated(size, turned=False), lambda: self.stated(size, turned=True)]
        if depth > 0 and pool:
            ways += [
                lambda: self.combined(size, depth),
                lambda: self.called(size, depth),
                lambda: f"(1 - {self.read(pool[0])})",
            ]
        way: Callable[[], str] = self.choose(*ways)
        return way()

    def stated(self, rows: Size, *, turned: bool) -> str:
        """A matrix with a let, or its transpose, times a vector."""
        vector = self.read(self.choose(*self.vectors))
        columns = self.vectors[vector]
        matrix = self.let(self.name("V", *((columns, rows) if turned else (rows, columns))))
        return f"{matrix}{'^T' * turned} {vector}"

    def free(self, size: Size) -> str:
        """An expression whose size follows from its surroundings."""
        if self.draw(st.booleans()):
            return self.name("b", size)
        vector = self.read(self.choose(*self.vectors))
        return f"{self.name('W', size, self.vectors[vector])} {vector}"

    def combined(self, size: Size, depth: int) -> str:
        parts = [str(self.known(size, depth - 1)), self.free(size)]
        first, second = parts if self.draw(st.booleans()) else parts[::-1]
        sign = self.choose("+", "-", "*", "/")
        return self.choose(f"({first} {sign} {second})", f"max({first}, {second})", f"(-({first}) {sign} ({second}))")

    def called(self, size: Size, depth: int) -> str:
        function = self.choose("tanh({})", "layer_norm({}, 1e-5)", "clip({}, -1/6, .5)", "mean({})", "elu({}, 2.)")
        return function.format(self.known(size, depth - 1))

    def gate(self) -> str:
        """An equation for a new name, which a let states where the right side does not."""
        size = self.size()
        right = self.known(size, 2) if self.draw(st.booleans()) else None
        loose = right is None
        right = right or self.free(size)
        name = self.name("g", size)
        if loose:
            self.let(name)
        self.vectors[name] = size
        self.unread.add(name)
        return f"{name} = {right}"

    def split(self) -> str:
        """A vector taken apart; the last part\'s size follows from the whole."""
        source = self.choose(*self.vectors)
        sizes = [self.size(), self.vectors[source]]
        whole = f"[{self.read(source)}, {self.let(self.name('q', sizes[0]))}]"
        names = [self.name("s", size) for size in reversed(sizes)]
        self.let(names[0])
        for name in names:
            self.vectors[name] = self.shapes[name][0]
            self.unread.add(name)
        return f"[{', '.join(names)}] = {self.choose(whole, f'tanh({whole})', f'{whole} * 2')}"

    def total(self) -> str:
        one, other = self.choose(*self.vectors), self.choose(*self.vectors)
        if self.draw(st.booleans()):
            return f"{self.name('d', self.vectors[one])} += {self.read(one)}"
        name = self.name("d", self.vectors[one], self.vectors[other])
        return f"{name} += {self.read(one)} {self.read(other)}^T"

    def update(self, state: str, must: Sequence[str]) -> str:
        size = self.vectors[state]
        terms = [self.known(size, 2) or self.free(size)] if self.draw(st.booleans()) else [self.free(size)]
        terms += [f"{self.name('W', size, self.vectors[name])} {self.read(name)}" for name in must]
        self.shapes[state + "'"] = (size,)
        return f"{state}' = tanh({self.choose(' + ', ' - ').join(terms)})"


@st.composite
def cells(draw: st.DrawFn, inputs: int | None = None) -> Drawn:
    """A well-formed cell whose dimensions fit, its equations in any order; with one input where it is to be a layer."""
    author = _Author(draw, draw(st.sampled_from([("n", "k"), ("E", "N"), ("n", "k", "j")])))
    sources = [author.name("x", author.size()) for _ in range(inputs or draw(st.integers(1, 2)))]
    states = ["h", "c"][: draw(st.integers(1, 2))]
    author.shapes |= {state: (author.size(),) for state in states}
    author.vectors = {name: author.shapes[name][0] for name in (*sources, *states)}
    before = [draw(st.sampled_from([author.gate, author.split]))() for _ in range(draw(st.integers(0, 4)))]
    totals = [author.total() for _ in range(draw(st.integers(0, 1)))]
    after = [author.update(state, sources if state == "h" else ()) for state in states]
    outputs = sorted(author.unread)
    text = [
        f"input {', '.join(f'{name}[{written(author.vectors[name])}]' for name in sources)}",
        f"state {', '.join(f'{name}[{written(author.vectors[name])}]' for name in states)}",
        *([f"let {', '.join(author.lets)}"] if author.lets else []),
        *([f"output h, {', '.join(outputs)}"] if outputs else []),
        *draw(st.permutations(before + totals + after)),
    ]
    shapes = {name: tuple(map(as_sum, size)) for name, size in author.shapes.items()}
    return Drawn(parse("\n".join(text)), shapes)


# ---- the LSTM by option, and layers ----

FORGET = (Fraction(0), Fraction(1), Fraction(-1, 2), Fraction(1, 3))


def _fits(coupled: str | None, forget: Fraction) -> bool:
    return not (coupled == "f=1-i" and forget)


OPTIONS: tuple[LstmOptions, ...] = tuple(
    LstmOptions(bias, peephole, coupled, projection, forget)
    for bias, peephole, coupled, projection, forget in product(
        BIASES, (False, True), (None, *COUPLINGS), (False, True), FORGET
    )
    if _fits(coupled, forget)
)

options: st.SearchStrategy[LstmOptions] = st.sampled_from(OPTIONS)


CLIPPED = st.sampled_from([None, Fraction(1, 2), Fraction(3)])
VARIED = st.fixed_dictionaries(
    {
        **{name: st.sampled_from(known) for name, known in CHOICES.items() if name not in ("bias", "coupled")},
        "bias": st.sampled_from([None, *BIASES]),
        "coupled": st.sampled_from([None, *COUPLINGS]),
        **{name: st.booleans() for name in ("projection", "projection_bias", "gate_hidden")},
        **dict.fromkeys(("clip", "clip_cell", "clip_projection"), CLIPPED),
        "forget_bias": st.sampled_from([Fraction(0), Fraction(1), Fraction(-1, 3)]),
        "gate_activation": st.sampled_from(["sigmoid", "hard_sigmoid(1/6, 1/2)"]),
        "candidate_activation": st.sampled_from(["tanh", "softsign", "relu"]),
        "output_activation": st.sampled_from(["tanh", "identity"]),
    }
)


@st.composite
def family_options(draw: st.DrawFn) -> LstmOptions:
    """Any options that go together: of some that do not, one after the other is left out until the rest do.

    Most of what is drawn freely contradicts itself; to filter it would be to try little.
    """
    chosen = draw(VARIED)
    for name in draw(st.permutations(sorted(chosen))):
        try:
            return LstmOptions(**chosen)
        except OptionError:
            del chosen[name]
    return LstmOptions()


@st.composite
def layers(draw: st.DrawFn, cell: Cell | None = None, largest: int = 5) -> Layer:
    """A layer of the LSTM family, or of the cell given, with numbers for sizes and every option of a layer."""
    from lstm_spec.cells.family import lstm_cell

    cell = cell or lstm_cell(draw(options))
    return Layer(
        cell,
        **{name: draw(st.integers(1, largest)) for name in cell.letters},
        layers=draw(st.integers(1, 3)),
        direction=draw(st.sampled_from(["forward", "reverse", "both"])),
        layout=draw(st.sampled_from(["time", "batch"])),
        output=draw(st.sampled_from(["sequence", "last"])),
        realign=draw(st.booleans()),
    )
