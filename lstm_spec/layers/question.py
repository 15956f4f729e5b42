"""What is asked of the way back, and the search that answers it.

A `Question` has a layer with one or two unknowns and its budgets; `one` and `two` give a `Solution`. Every quantity
grows with every unknown, so a bisection finds the largest that fits; two unknowns lie on a curve of whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice
from typing import Any

from sympy import Integer, expand

from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, SizeError
from lstm_spec.layers.costing import Costing, E, L
from lstm_spec.layers.described import B, D, T
from lstm_spec.layers.integers import Curve, Root, close_form, largest
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.options import MOST_LAYERS
from lstm_spec.layers.sizes import LARGEST, symbols
from lstm_spec.symbolic.cell import letter

# Budget → the line of the cost that it bounds.
BUDGETS = {
    "parameters": "parameters",
    "macs": "macs",
    "bytes": "parameter bytes",
    "memory": "inference bytes",
    "kept": "kept bytes",
}
MOST_ROWS = 1000
FEW_ROWS = 32
MOST_TRIED = 200_000
MOST_SEARCHED = 100  # where each needs a search of its own


@dataclass(frozen=True, slots=True)
class Choice:
    """Sizes, and what each budget's quantity is at them."""

    sizes: Mapping[str, int]
    counts: Mapping[str, int]
    residuals: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"sizes": dict(self.sizes), "counts": dict(self.counts), "residuals": dict(self.residuals)}


@dataclass(frozen=True, slots=True)
class Solution(Displayed):
    """Sizes that meet the budgets. `rule` says which of those that do; a residual is a budget less the count.

    With one unknown `choices` has one, and `below` and `above` are its neighbours; with two it is a list.
    """

    layer: Layer
    unknowns: tuple[str, ...]
    budgets: Mapping[str, int]
    rule: str
    choices: tuple[Choice, ...]
    below: Choice | None = None
    above: Choice | None = None
    root: Root | None = None

    @property
    def sizes(self) -> Mapping[str, int]:
        """The unknowns of the first choice."""
        return self.choices[0].sizes

    @property
    def solved(self) -> Layer:
        """The layer at the first choice."""
        found = dict(self.sizes)
        layers = found.pop("L", self.layer.layers)
        return self.layer.at(**found).with_(layers=layers) if found else self.layer.with_(layers=layers)

    def __str__(self) -> str:
        lines = [f"{self.root.text} = {self.root.decimal}"] if self.root else []
        for choice in self.choices:
            sizes = ", ".join(f"{name} = {value}" for name, value in choice.sizes.items())
            counts = ", ".join(f"{n} {c} ({choice.residuals[n]} left)" for n, c in choice.counts.items())
            lines.append(f"{sizes}: {counts}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "unknowns": list(self.unknowns),
            "budgets": dict(self.budgets),
            "rule": self.rule,
            "closed_form": self.root.text if self.root else None,
            "root": float(self.root.value) if self.root else None,
            "choices": [choice.to_dict() for choice in self.choices],
            "below": self.below.to_dict() if self.below else None,
            "above": self.above.to_dict() if self.above else None,
        }


@dataclass(frozen=True)
class Question:
    """What is asked, with the polynomials that answer it."""

    layer: Layer
    unknowns: tuple[str, ...]
    budgets: Mapping[str, int]
    batch: Any
    time: Any
    dtype: str
    multiple: int
    _made: dict[int, dict[str, Any]] = field(default_factory=dict)
    _sized: dict[tuple[str, int], Any] = field(default_factory=dict)

    @property
    def has_layers(self) -> bool:
        """Whether L is an unknown."""
        return "L" in self.unknowns

    def polynomial(self, name: str, layers: int | None = None) -> Any:
        """A budget's quantity in the unknowns alone."""
        key = name, min(layers or 1, 3)
        if key not in self._sized:
            self._sized[key] = self.lettered(name, layers).xreplace(symbols(self.layer.sizes))
        return self._sized[key]

    def lettered(self, name: str, layers: int | None = None) -> Any:
        """A budget's quantity in the cell's letters and, where it is unknown, L; three layers are as any more."""
        count = min(layers or self.layer.layers, 3) if self.has_layers else self.layer.layers
        if count not in self._made:
            layer = self.layer.with_(layers=count)
            costing = Costing.of(layer, self.batch, self.time, None, self.dtype)
            axes = {B: costing.batch, T: costing.time, E: costing.batch * costing.time, D: Integer(layer.directions)}
            axes |= {} if self.has_layers else {L: Integer(layer.layers)}
            made = costing.polynomials()
            self._made[count] = {budget: made[BUDGETS[budget]].xreplace(axes) for budget in self.budgets}
        return self._made[count][name]

    def symbol(self, name: str) -> Any:
        """An unknown as a symbol."""
        return L if name == "L" else letter(name)

    def step(self, name: str) -> int:
        """What an unknown is a multiple of."""
        return 1 if name == "L" or (name == "n" and len(self.unknowns) > 1) else self.multiple

    def limit(self, name: str) -> int:
        """How many steps of an unknown there are."""
        return (MOST_LAYERS if name == "L" else LARGEST) // self.step(name)

    def at(self, **sizes: int) -> Choice:
        """What the budgets' quantities are at these sizes."""
        put = {self.symbol(name): Integer(value) for name, value in sizes.items()}
        counts = {name: int(self.polynomial(name, sizes.get("L")).xreplace(put)) for name in self.budgets}
        return Choice(sizes, counts, {name: self.budgets[name] - count for name, count in counts.items()})

    def fits(self, **sizes: int) -> bool:
        """Whether they are within every budget."""
        return all(left >= 0 for left in self.at(**sizes).residuals.values())

    @cached_property
    def root(self) -> Root | None:
        """The closed form, where one unknown meets one budget."""
        name, unknown = next(iter(self.budgets)), self.symbol(self.unknowns[0])
        if len(self.budgets) > 1 or (self.has_layers and name == "memory"):
            return None
        letters = {s: v for s, v in symbols(self.layer.sizes).items() if s != unknown}
        tied = any(not value.is_Integer for value in letters.values())
        polynomial = self.polynomial(name) if tied else self.lettered(name)
        return close_form(expand(polynomial), unknown, self.budgets[name], letters)

    # ---- one unknown ----

    def one(self, exact: bool) -> Solution:
        """The largest size that fits, or the one that is exact. Raises SizeError when there is none."""
        (name,) = self.unknowns
        step = self.step(name)
        count = largest(lambda v: self.fits(**{name: v * step}), self.limit(name))
        if count == self.limit(name):
            raise self._unbounded(name)
        above = self.at(**{name: (count + 1) * step})
        if count == 0:
            raise self._too_small(above)
        chosen = self.at(**{name: count * step})
        below = self.at(**{name: (count - 1) * step}) if count > 1 else None
        if exact and any(chosen.residuals.values()):
            raise self._inexact(name, chosen, above)
        rule = f"the largest {name} that fits" + (f", a multiple of {step}" if step > 1 else "")
        return Solution(
            self.layer, self.unknowns, self.budgets, "exact" if exact else rule, (chosen,), below, above, self.root
        )

    def _unbounded(self, name: str) -> SizeError:
        found = ", ".join(f"{budget} {value:,}" for budget, value in self.budgets.items())
        largest = self._largest(name)
        message = f"this budget does not bound {name} up to {largest:,}, the most that there may be"
        because = f"it still fits at {name} = {largest:,}"
        return SizeError(Finding("budget", message, found=found, because=because))

    def _too_small(self, least: Choice) -> SizeError:
        over = [name for name, left in least.residuals.items() if left < 0]
        sizes = ", ".join(f"{name} = {value}" for name, value in least.sizes.items())
        return SizeError(
            Finding(
                "budget",
                "no size is small enough",
                found=", ".join(f"{name} {self.budgets[name]:,}" for name in over),
                because="; ".join(f"{sizes} already has {name} {least.counts[name]:,}" for name in over),
            )
        )

    def _inexact(self, name: str, chosen: Choice, above: Choice) -> SizeError:
        near = "\n".join(f"{name} = {c.sizes[name]}: {_counts(c)}" for c in (chosen, above))
        budgets = ", ".join(f"{n} {value:,}" for n, value in self.budgets.items())
        return SizeError(Finding("budget", f"no {name} is exact", expected=budgets, found=near, help="leave exact out"))

    # ---- two unknowns ----

    def two(self, exact: bool | None) -> Solution:
        """A list. Raises SizeError when it is empty."""
        outer, inner = self.order
        found, rule = self._exact(outer, inner) if exact is not False else ((), "")
        if exact and not found:
            message = f"no {outer} and {inner} are exact"
            tried = rule.partition("solution with ")[2]  # where the search has a bound
            raise SizeError(Finding("budget", message, found=tried, help="leave exact out: what fits is listed"))
        if found:
            return Solution(self.layer, (outer, inner), self.budgets, rule, found)
        sizes = range(1, FEW_ROWS + 1) if outer == "L" else [self.step(outer) * 2**p for p in range(FEW_ROWS)]
        listed = tuple(self._fitting(outer, inner, sizes))
        if not listed:
            least = self.at(**{outer: self.step(outer), inner: self.step(inner)})
            raise self._unbounded(inner) if min(least.residuals.values()) >= 0 else self._too_small(least)
        steps = f"each L up to {FEW_ROWS}" if outer == "L" else f"{outer} doubled from {self.step(outer)}"
        none = f"{rule.replace('every', 'no')}; " if rule else ""
        rule = f"{none}{steps}, with the largest {inner} that fits"
        return Solution(self.layer, (outer, inner), self.budgets, rule, listed)

    @property
    def order(self) -> tuple[str, str]:
        """The unknown that is tried, then the one that is solved for: L, else whatever is not n."""
        first, second = self.unknowns
        return (second, first) if second == "L" or first == "n" else (first, second)

    def _exact(self, outer: str, inner: str) -> tuple[tuple[Choice, ...], str]:
        """Every choice that meets every budget exactly, and what is told of the search."""
        name = next(iter(self.budgets))
        curve = Curve.of(expand(self.polynomial(name)), self.symbol(outer), self.symbol(inner))
        if curve is None or (outer == "L" and "memory" in self.budgets):
            found = tuple(c for c in self._fitting(outer, inner, range(1, MOST_SEARCHED + 1)) if _is_exact(c))
            return found, f"every exact solution with {outer} up to {MOST_SEARCHED}"
        found = tuple(islice(self._on(curve, outer, inner), MOST_ROWS))
        rule = "every exact solution" if len(found) < MOST_ROWS else f"the first {MOST_ROWS} exact solutions"
        most = self._most(outer)
        bounded = curve.vanishes or most == self._largest(outer) or curve.at(most, 1) > self.budgets[name]
        return found, rule if bounded else f"{rule} with {outer} up to {most:,}"

    def _most(self, outer: str) -> int:
        return min(self._largest(outer), MOST_TRIED)

    def _on(self, curve: Curve, outer: str, inner: str) -> Iterator[Choice]:
        """The points of a curve at the first budget that are sizes and meet the other budgets."""
        for u, v in curve.solutions(next(iter(self.budgets.values())), self._most(outer)):
            sizes = {outer: u, inner: v}
            if all(size % self.step(name) == 0 and size <= self._largest(name) for name, size in sizes.items()):
                choice = self.at(**sizes)
                if _is_exact(choice):
                    yield choice

    def _largest(self, name: str) -> int:
        return self.limit(name) * self.step(name)

    def _fitting(self, outer: str, inner: str, tried: Iterable[int]) -> Iterator[Choice]:
        """For each outer size the largest inner one that fits, where there is a largest."""
        step = self.step(inner)

        def fits(u: int, w: int) -> bool:
            return self.fits(**{outer: u, inner: w * step})

        for u in tried:
            v = largest(partial(fits, u), self.limit(inner))
            if v == 0 or u > LARGEST:
                return
            if v < self.limit(inner) and u % self.step(outer) == 0:
                yield self.at(**{outer: u, inner: v * step})


def _is_exact(choice: Choice) -> bool:
    return not any(choice.residuals.values())


def _counts(choice: Choice) -> str:
    return ", ".join(f"{name} {count:,} ({choice.residuals[name]:,} left)" for name, count in choice.counts.items())
