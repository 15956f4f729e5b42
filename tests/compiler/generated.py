"""A strategy for cells that compute well: every construct of the language, awkward names, values that stay moderate.

`tests.strategies.cells` draws what may be written; here every division is by 1 or more, every state goes through a
bounded function, and a jump (`step`) stands only where no rounding can reach it, so that 1e-12 can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from lstm_spec.symbolic.algebra import FUNCTIONS
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse

NAMES = (
    "lambda run packed weights np pack range len t T B x_t T1 y z s W U b e d g_t c_new h_new unit_step spread_ l0 "
    "reverse class None self _ __debug__ l0_h l0_y float print dtype shape step_l0 x_2 W_2 l0_reverse_h import_ z_x "
    "z_t W_x y_2 sigmoid_ __class__ array empty concatenate exec v_ A_very_long_name_that_no_line_can_hold_" + "q" * 90
).split()
LETTERS = "n k j lambda y z W dtype run step_l0 step_l0_reverse N E S packed t np l0_h _ __debug__".split()
CALLS = {  # how each function is called so that its value is finite and moderate
    "exp": "exp(tanh({}))",
    "log": "log(1 + abs({}))",
    "sqrt": "sqrt(0.5 + abs({}))",
    "hard_sigmoid": "hard_sigmoid({}, 1/5, 1/2)",
    "leaky_relu": "leaky_relu({}, -1/10)",
    "elu": "elu({}, 1.5)",
    "clip": "clip({}, -1/3, 2)",
    "max": "max({}, 1 - {})",
    "layer_norm": "layer_norm({}, 0.1)",
}
NUMBERS = ("2", "0.5", "1/3", "-1", "sigmoid(1)", "(1 - 3)", "mean(2)", "step(1)", "1e-3")


@dataclass
class Writer:
    """The equations of one cell, and the vectors that may be read so far, by size letter."""

    draw: st.DrawFn
    letters: list[str]
    vectors: dict[str, str] = field(default_factory=dict)
    lets: list[str] = field(default_factory=list)
    unread: dict[str, None] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def pick(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))

    def name(self) -> str:
        free = [n for n in NAMES if n not in self.taken and n not in self.letters]
        name = self.pick(*free) if free else f"v{len(self.taken)}"
        self.taken.add(name)
        return name

    def parameter(self, *sizes: str) -> str:
        name = self.name()
        self.lets.append(f"{name}[{', '.join(sizes)}]")
        return name

    def read(self, name: str) -> str:
        self.unread.pop(name, None)
        return name

    def vector(self) -> tuple[str, str]:
        name = self.read(self.pick(*self.vectors))
        return name, self.vectors[name]

    def product(self, size: str) -> str:
        """A matrix times a vector, or times two joined, or transposed."""
        name, rows = self.vector()
        way = self.pick("plain", "plain", "turned", "sum", "joined")
        if way == "joined":
            other, more = self.vector()
            return f"{self.parameter(size, f'{rows} + {more}')} [{name}, {other}]"
        if way == "sum":
            return f"({self.parameter(size, rows)} * 2 - {self.parameter(size, rows)}) {name}"
        turned = way == "turned"
        return f"{self.parameter(*((rows, size) if turned else (size, rows)))}{'^T' * turned} {name}"

    def expression(self, size: str, depth: int) -> str:
        same = [n for n, found in self.vectors.items() if found == size]
        if depth == 0:
            ways = ["parameter", "product", "product", *["name"] * (2 * bool(same))]
            way = self.pick(*ways)
            if way == "name":
                return self.read(self.pick(*same))
            return self.parameter(size) if way == "parameter" else self.product(size)
        inner: Callable[[], str] = lambda: self.expression(size, depth - 1)  # noqa: E731
        way = self.pick("sum", "sum", "gate", "times", "over", "number", "minus", "call", "jump", "deep")
        if way == "sum":
            terms = [inner() for _ in range(self.draw(st.integers(2, 5)))]
            return "(" + "".join(f" {self.pick('+', '-')} {t}" if i else t for i, t in enumerate(terms)) + ")"
        if way == "gate":
            return f"{self.pick('sigmoid', 'tanh')}({self.product(size)} + {self.product(size)} + {inner()})"
        if way == "jump":
            return f"step({self.product(size)} + {self.parameter(size)})"
        if way == "call":
            function = self.pick(*(f for f in sorted(FUNCTIONS) if f != "step"))
            return CALLS.get(function, f"{function}({{}})").replace("{}", inner())
        if way == "number":
            return f"({self.pick(*NUMBERS)} {self.pick('+', '-', '*')} {inner()})"
        return {
            "times": lambda: f"tanh({inner()}) * {inner()}",
            "over": lambda: f"{inner()} / ((1 + abs({inner()})){self.pick('', ' * 2', ' / tanh(0.5)')})",
            "minus": lambda: f"-{inner()}" if self.draw(st.booleans()) else f"(1 - {inner()})",
            "deep": inner,
        }[way]()

    def gate(self) -> str:
        size, name = self.pick(*self.letters), self.name()
        right = self.expression(size, self.draw(st.integers(0, 2)))
        if right.isidentifier() and right not in self.vectors:
            right = f"tanh({right})"
        self.lets.append(f"{name}[{size}]")
        self.vectors[name] = size
        self.unread[name] = None
        return f"{name} = {right}"

    def weights_only(self) -> str:
        """An equation that reads no input and no state."""
        size, name = self.pick(*self.letters), self.name()
        one, other = self.parameter(size), self.parameter(size)
        form = self.pick("tanh({}) + {}", "{} * {} - 1", "layer_norm({}, 0.1) / (2 + abs({}))", "max({}, mean({}))")
        self.vectors[name] = size
        self.unread[name] = None
        return f"{name} = {form.format(one, other)}"

    def split(self) -> str:
        sizes = [self.pick(*self.letters) for _ in range(self.draw(st.integers(2, 4)))]
        vector, rows = self.vector()
        total = " + ".join(sizes)
        right = f"{self.parameter(total, rows)} {vector} + {self.parameter(total)}"
        names = [self.name() for _ in sizes]
        for name, size in zip(names, sizes, strict=True):
            self.lets.append(f"{name}[{size}]")
            self.vectors[name] = size
            self.unread[name] = None
        return f"[{', '.join(names)}] = {self.pick(right, f'tanh({right})')}"

    def update(self, state: str) -> str:
        """A state's next value: bounded, or some vector as it is (`h' = c'`, `h' = x`, `h' = b`)."""
        size = self.vectors[state]
        same = [n for n, found in self.vectors.items() if found == size]
        plain = self.draw(st.integers(0, 3)) == 0
        right = self.read(self.pick(*same)) if plain else f"tanh({self.product(size)} + {self.expression(size, 2)})"
        self.vectors[state + "'"] = size
        return f"{state}' = {right}"


@st.composite
def moderate_cells(draw: st.DrawFn) -> Cell:
    """A cell of one input and up to three states, written with the constructs above."""
    writer = Writer(draw, draw(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=3, unique=True)))
    source, states = writer.name(), [writer.name() for _ in range(draw(st.integers(0, 3)))]
    writer.vectors = {name: writer.pick(*writer.letters) for name in (source, *states)}
    declared = [f"{name}[{writer.vectors[name]}]" for name in (source, *states)]
    lines = [
        draw(st.sampled_from([writer.gate, writer.gate, writer.split, writer.weights_only]))()
        for _ in range(draw(st.integers(1, 4)))
    ]
    lines.append(f"{(last := writer.name())} = {writer.parameter(writer.letters[0], writer.vectors[source])} {source}")
    lines += [writer.update(state) for state in states]
    outputs = [*writer.unread, last, *(s for s in states if draw(st.booleans()))]
    text = [
        f"input {declared[0]}",
        *([f"state {', '.join(declared[1:])}"] if states else []),
        *([f"let {', '.join(writer.lets)}"] if writer.lets else []),
        f"output {', '.join(draw(st.permutations(outputs)))}",
        *draw(st.permutations(lines)),
    ]
    return parse("\n".join(text))
