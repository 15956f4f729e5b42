"""What flows between the modules of a network, and sizes as a module is given them. Nothing is evaluated."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from sympy import Add, Integer, Mul, Symbol

from lstm_spec.errors import Finding, OptionError, SizeError, safe
from lstm_spec.layers.factory import exact_number
from lstm_spec.layers.sizes import IDENTIFIER, LARGEST, read_whole
from lstm_spec.symbolic.cell import AXES, letter
from lstm_spec.symbolic.counts import factored
from lstm_spec.symbolic.printing import size_text, tuple_text

T, B = Symbol("T"), Symbol("B")
Shape = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """What flows from one module to the next: vectors `width` wide, or tokens where it is None.

    One for every step of `time` (a letter or a number), or one a sample where that is None. `giver` is the member
    that it comes from.
    """

    width: Any
    time: Any = T
    giver: str = field(default="", compare=False)

    def shape(self, layout: str = "time") -> Shape:
        """`(T, B, n)`; `(B, T, n)` where the layout is "batch"."""
        over = () if self.time is None else (self.time,)
        first = (*over, B) if layout == "time" else (B, *over)
        return first if self.width is None else (*first, self.width)

    @property
    def word(self) -> str:
        """What it is in an error: `a sequence of vectors`."""
        one = "vector" if self.width is not None else "token"
        return f"one {one} a sample" if self.time is None else f"a sequence of {one}s"

    def at(self, sizes: Mapping[Any, Any]) -> Signal:
        """With other sizes for its letters."""
        return Signal(put_size(self.width, sizes), put_size(self.time, sizes), self.giver)


def put_size(size: Any, sizes: Mapping[Any, Any]) -> Any:
    """A size with others for its letters; None stays."""
    return None if size is None else size.xreplace(sizes)


def read_size(given: Any, what: str, letters: tuple[str, ...] = ()) -> Any:
    """A size of a module as a SymPy `Integer` or letter; an axis's letter only where `letters` has it.

    Raises SizeError when it is neither a whole number ≥ 1 nor a plain letter.
    """
    text = str(given)
    if isinstance(given, str | Symbol) and IDENTIFIER.fullmatch(text) and not keyword.iskeyword(text):
        if text not in AXES or text in letters:
            return Symbol(text) if text in letters else letter(text)
        raise SizeError(Finding("size", f"{what} = {text} cannot be a letter", found=f"{text} counts {AXES[text]}"))
    digits = isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 30
    number = int(given) if digits else read_whole(given)
    if number is None or not 1 <= number <= LARGEST:
        wanted = f"a whole number from 1 to {LARGEST:,}, or a letter such as m"
        raise SizeError(Finding("size", f"{what} = {safe(repr(given), 40)} is no size", expected=wanted))
    return Integer(number)


def read_length(given: Any, what: str, axis: Symbol) -> Any:
    """The length of an axis, or its letter where None is given. Raises SizeError for what is no whole number ≥ 0."""
    number = 0 if given is None else read_whole(given)
    if number is None or number < 0:
        shown = safe(repr(given), 40)
        raise SizeError(Finding("size", f"{what} = {shown} is no length", expected="a whole number ≥ 0"))
    return axis if given is None else Integer(number)


def count_entries(shapes: Iterable[Shape]) -> Any:
    """How many numbers tensors of these shapes hold, a factored polynomial."""
    return factored(Add(*(Mul(*shape) for shape in shapes)))


def read_rate(given: Any, what: str = "rate") -> Fraction:
    """The share that is dropped, exact, in [0, 1). Raises OptionError for anything else."""
    rate = exact_number(what, given)
    if not 0 <= rate < 1:
        raise OptionError(Finding("option", f"{what}={safe(given, 40)} is no share", expected="0 ≤ rate < 1"))
    return rate


def read_choice(option: str, given: Any, choices: tuple[str | bool, ...]) -> None:
    """Raises OptionError when it is none of the choices; 1 is not True."""
    if not any(given is choice or (isinstance(given, str) and given == choice) for choice in choices):
        shown = safe(repr(given), 40)
        raise OptionError(Finding("option", f"{option}={shown} is unknown", expected=", ".join(map(str, choices))))


def mismatch(name: str, wants: str, taken: Signal, help: str = "") -> OptionError:
    """The member `name` cannot take what the one below gives."""
    shape = tuple_text(taken.shape())
    message = f"{name} takes {wants}, and {taken.giver} gives {taken.word} {shape}"
    return OptionError(Finding("network", message, help=help))


def json_size(size: Any) -> Any:
    """A size for JSON: an integer where it is a number, else text."""
    return int(size) if size.is_Integer else size_text(size)
