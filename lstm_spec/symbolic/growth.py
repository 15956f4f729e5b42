"""How far a state can come in t steps: a bound of |s_t| by |s_0| and t, in real numbers and in floats.

Comes in: what a step keeps and adds at most (`growing`). Goes out: the bound as a number, and as the formula that
people read. Proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from sympy import Float, Integer, Max, oo

from lstm_spec.symbolic.intervals import number_text
from lstm_spec.symbolic.ranging import Format

Rule = Literal["held", "geometric", "sum"]
ONE = Integer(1)
MARGIN = Float("1e-25", 40)  # beyond the 40 digits that a power is computed with


@dataclass(frozen=True, slots=True)
class Growth:
    """A bound of |s_t| by |s_0| and t.

    `held`: max(|s_0|, level); `geometric`: max(|s_0|, level / (1 − kept)); `sum`: |s_0| + level t; all times `scale`.
    In floats, `operations` of the step may each round; `once` says that only the addition does.
    """

    rule: Rule
    state: str
    level: Any
    kept: Any
    operations: int = 0
    once: bool = False
    scale: Any = ONE
    after: int = 0  # operations between the state and what is bounded

    def size(self, start: Any, time: Any) -> Any:
        """The bound in real numbers, of |s_0| and t, numbers or symbols."""
        match self.rule:
            case "held":
                inner = Max(start, self.level)
            case "geometric":
                inner = Max(start, self.level / (1 - self.kept))
            case "sum":
                inner = start + self.level * time
        return self.scale * inner

    def rounded(self, start: Any, time: Any, format: Format) -> Any:
        """The bound of what a format computes, for numbers: an upper bound of the formula in `rounded_text`."""
        u, whole = format.u, self.size(start, time) / self.scale
        factor = _power(1 + u, self.operations)
        match self.rule:
            case "geometric":
                bound = oo if self.kept * factor >= 1 else max(start, self.level * factor / (1 - self.kept * factor))
            case "sum" if self._adds_exactly(start, time, format):
                bound = whole / (1 - 2 * u)
            case _:
                bound = whole * _power(1 + u, (self.operations if not self.once else 1) * time)
        bound = self.scale * bound * _power(1 + u, self.after)
        return oo if bound > format.largest else bound

    def _adds_exactly(self, start: Any, time: Any, format: Format) -> bool:
        """Whether `level` is a multiple of the last digit of every number up to the bound.

        Adding it then rounds only where the sum enters a new power of two, at most by u of that power, and 1 + 2 + 4 +
        … + 2^e is below 2^(e + 1): in all at most 2u of the bound.
        """
        if not self.once or not self.level.is_Integer:
            return False
        return bool((start + self.level * time) / (1 - 2 * format.u) < 2**format.digits)

    def text(self, of: str | None = None) -> str:
        """`|c_0| + t`, `max(|h_0|, 1)`."""
        start, level = f"|{self.state}_0|", number_text(self.level)
        match self.rule:
            case "held":
                inner = f"max({start}, {level})"
            case "geometric":
                inner = f"max({start}, {number_text(self.level / (1 - self.kept))})"
            case "sum":
                inner = start if self.level == 0 else f"{start} + {'' if self.level == 1 else level + ' '}t"
        return self._scaled(inner)

    def rounded_text(self) -> str:
        """The same for floats, with u the unit roundoff: `(|c_0| + t) / (1 - 2u)`."""
        plain = replace(self, scale=Integer(1)).text()
        grouped = plain if plain.endswith(")") or " " not in plain else f"({plain})"
        match self.rule:
            case "geometric":
                factor = f"(1 + u)^{self.operations}"
                level = "" if self.level == 1 else number_text(self.level) + " "
                shown = f"max(|{self.state}_0|, {level}{factor} / (1 - {number_text(self.kept)} {factor}))"
            case "sum" if self.once and self.level.is_Integer:
                shown = f"{grouped} / (1 - 2u)" if self.level else plain
            case _:
                steps = "t" if self.once or self.operations == 1 else f"({self.operations}t)"
                shown = f"{grouped} (1 + u)^{steps}"
        return self._scaled(shown + (f" (1 + u)^{self.after}" if self.after else ""))

    def _scaled(self, inner: str) -> str:
        if self.scale == 1:
            return inner
        return f"{number_text(self.scale)} {inner if inner.startswith('max') else f'({inner})'}"


def _power(base: Any, exponent: Any) -> Any:
    """A power of 1 + u from above."""
    if exponent <= 64:
        return base**exponent
    return Float(base, 60) ** exponent * (1 + MARGIN)
