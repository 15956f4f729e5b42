"""What a check found, as a value: the layers, every tensor's derived and found shape, and the findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.phrases import counted


def shape_text(sizes: tuple[Any, ...]) -> str:
    """`(4*k, n)`, `(k,)`, as Python writes a shape."""
    return f"({', '.join(map(str, sizes))}{',' * (len(sizes) == 1)})"


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor: its name in the source, its derived shape in letters and numbers, the shape that was found.

    `numbers` is None where a size could not be solved; `found` is None where the tensor is missing.
    """

    name: str
    symbolic: str
    numbers: tuple[int, ...] | None
    found: tuple[int, ...] | None

    @property
    def ok(self) -> bool:
        """Whether the tensor is there and has the derived shape."""
        return self.found is not None and self.found == self.numbers

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        numbers = None if self.numbers is None else list(self.numbers)
        found = None if self.found is None else list(self.found)
        return {"name": self.name, "symbolic": self.symbolic, "expected": numbers, "found": found, "ok": self.ok}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our compiled code and a framework's layer, over the same weights and random input.

    `difference` is the largest of |ours - theirs| / max(1, |theirs|); `reason` says why nothing was compared;
    `strange` names the tensors that hold NaN or infinity.
    """

    engine: str
    difference: float | None = None
    tolerance: float = 0.0
    reason: str = ""
    strange: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.difference is None:
            return f"not compared with {self.engine}: {self.reason}" if self.engine else f"not compared: {self.reason}"
        verdict = "agrees with" if self.difference <= self.tolerance else "DIFFERS from"
        return f"{verdict} {self.engine} within {self.difference:.1e} (limit {self.tolerance:.0e})"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "engine": self.engine,
            "difference": self.difference,
            "tolerance": self.tolerance,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class FoundLayer:
    """A layer that was recognized: where, what it is, in which dialect, its tensors, and what was assumed.

    `dtype` is that of its tensors, several where they mix; `recorded` how well it computes a step that was given;
    `merge` how its output and that of another direction become one, and `layout` how x lies, where the source says it.
    """

    where: str
    layer: Layer
    dialect: str
    tensors: tuple[Row, ...]
    assumed: tuple[str, ...] = ()
    agreement: Agreement | None = None
    dtype: str = ""
    recorded: Agreement | None = None
    merge: str = ""
    layout: str = ""

    @property
    def summary(self) -> str:
        """`n = 128, k = 128, two biases, forward`."""
        layer = self.layer
        parts = [f"{name} = {value}" for name, value in layer.given]
        parts += [f"{layer.layers} layers"] * (layer.layers > 1)
        parts += [{"forward": "forward", "reverse": "reverse", "both": "bidirectional"}[layer.direction]]
        return ", ".join([*parts, _bias_words(layer)])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "where": self.where,
            "dialect": self.dialect,
            "dtype": self.dtype,
            "sizes": {name: int(v) if v.is_Integer else str(v) for name, v in self.layer.given},
            "layers": self.layer.layers,
            "direction": self.layer.direction,
            "layout": self.layer.layout,
            "bias": _bias_words(self.layer),
            "parameters": str(self.layer.parameter_count),
            "equations": str(self.layer.cell),
            "assumed": list(self.assumed),
            "tensors": [row.to_dict() for row in self.tensors],
            "agreement": self.agreement.to_dict() if self.agreement else None,
            "recorded": self.recorded.to_dict() if self.recorded else None,
        }


def _bias_words(layer: Layer) -> str:
    """The bias convention in words, from the parameters there are."""
    vectors = [n for n, s in layer.shapes_of_cell.of("parameter").items() if not s.is_matrix and n.startswith("b_")]
    per_gate = {n.removeprefix("b_").lstrip("WU") for n in vectors}
    return "no bias" if not vectors else "two biases" if len(vectors) > len(per_gate) else "one bias"


@dataclass(frozen=True, slots=True)
class Report(Displayed):
    """The result of a check. `ok` when no finding is an error; `other` are tensors that are in no recurrent layer."""

    origin: str
    layers: tuple[FoundLayer, ...]
    findings: tuple[Finding, ...]
    other: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything recurrent was read in one way and conforms."""
        return not any(f.severity == "error" for f in self.findings)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for found in self.layers:
            yield f"{safe(found.where)}: {found.dialect}, {found.summary}"
            for row in found.tensors:
                numbers = "?" if row.numbers is None else row.numbers
                verdict = "missing" if row.found is None else f"found {row.found}"
                yield f"  {safe(row.name):<32} {row.symbolic} = {numbers}, {verdict}{'' if row.ok else '  <--'}"
            yield from (f"  assumed {text}" for text in found.assumed)
            yield from (f"  {safe(held, None)}" for held in (found.agreement, found.recorded) if held)
        if self.other:
            yield f"other tensors: {len(self.other)}"
        yield from map(str, self.findings)
        yield self.verdict

    @property
    def verdict(self) -> str:
        """One line: conforms or not, and how many of what."""
        errors = sum(f.severity == "error" for f in self.findings)
        has_c = all("c" in {s.name for s in found.layer.cell.states} for found in self.layers)
        layers = counted(len(self.layers), "LSTM layer" if has_c else "layer")
        return f"conforms: {layers}" if self.ok else f"does not conform: {layers}, {counted(errors, 'error')}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "origin": self.origin,
            "ok": self.ok,
            "layers": [layer.to_dict() for layer in self.layers],
            "findings": [finding.to_dict() for finding in self.findings],
            "other": list(self.other),
        }
