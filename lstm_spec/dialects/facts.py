"""What is told of a dialect: the facts of its table in words, each derived from its packings where it can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.dialects.blocks import blocks_of
from lstm_spec.dialects.dialect import Dialect
from lstm_spec.dialects.packing import PackedTensor, Packing
from lstm_spec.layers.layer import Layer

EVIDENCE = {
    "run": "compared with the framework in the tests",
    "published": "compared with what its project publishes: numbers, or its own packing code",
    "cited": "read from its sources, not run",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """A dialect with what people ask of it."""

    dialect: Dialect

    @property
    def gates(self) -> str:
        """The order of the gates: `ifgo`."""
        packings = [p for p in self._recurrent if p.gates]
        return packings[0].gates if packings else "".join(p.parts[-1][-1] for p in self._recurrent)

    @property
    def orientation(self) -> str:
        """How the gates lie in the recurrent matrices: `rows`, `columns of [x, h]`, `rows, per gate`."""
        packing = self._recurrent[0]
        words = "columns" if packing.transposed else "rows"
        words += " of [x, h]" if packing.joined else ""
        arranged = {"units": ", unit by unit", "axis": ", on an axis", "blocks": ", reshaped" * packing.reshaped}[
            packing.arranged
        ]
        return words + arranged + (", per gate" if len(self._recurrent) > 1 else "")

    @property
    def biases(self) -> str:
        """How many biases a gate may have: `0, 1`; `1` where it is never without."""
        counts = {
            {"one": 1, "two": 2}[str(p.option[1])]
            for p in self.dialect.packings
            if p.option is not None and p.option[0] == "bias"
        }
        none = set() if "bias" in self.dialect.always else {0}
        return ", ".join(map(str, sorted(none | counts)))

    @property
    def extras(self) -> tuple[str, ...]:
        """What else its tensors can say: peepholes, a projection, normalization, coupled gates."""
        said = {p.option[0]: None for p in self.dialect.packings if p.option and p.option[0] != "bias"}
        said |= {option: None for option, _ in self.dialect.missing.values()}
        said |= dict.fromkeys(["coupled"] if self.dialect.dead else [])
        return tuple(said)

    @property
    def states(self) -> str:
        """The order of the states: `h, c`."""
        return ", ".join(self.dialect.states)

    @property
    def constants(self) -> tuple[str, ...]:
        """What every cell of it has and no tensor shows: `forget_bias = 1`."""
        return tuple(f"{option} = {value}" for option, value in self.dialect.constants.items())

    @property
    def _recurrent(self) -> tuple[Packing, ...]:
        return tuple(p for p in self.dialect.packings if any(part.startswith("U_") for part in p.parts))

    def tensors(self, *sizes: Any) -> tuple[PackedTensor, ...]:
        """Every tensor that it can write for one cell, with the optional ones. Raises SizeError for wrong sizes."""
        return self.dialect.tensors(Layer(self._cell, *sizes))

    @property
    def _cell(self) -> Any:
        options = self.dialect.options({p.name for p in self.dialect.packings})
        return lstm_cell(LstmOptions(**options))

    def is_optional(self, tensor: PackedTensor) -> bool:
        """Whether there are layers without it: the bias of a projection is where there is a projection."""
        option = tensor.packing.option
        return option is not None and (option[0] == "projection_bias" or option[0] not in self.dialect.always)

    def to_dict(self, *sizes: Any) -> dict[str, Any]:
        """For JSON: the facts, and the blocks of every tensor."""
        dialect = self.dialect
        return self.summary() | {
            "source": dialect.source,
            "constants": list(self.constants),
            "assumed": [text for text, _ in dialect.assumed],
            "realigned": dialect.realigned,
            "padding": dialect.padding,
            "traps": list(dialect.traps),
            "tensors": [
                {
                    "name": tensor.name,
                    "shape": list(map(str, tensor.shape)),
                    "optional": self.is_optional(tensor),
                    "blocks": [block.to_dict() for block in blocks_of(tensor)],
                }
                for tensor in self.tensors(*sizes)
            ],
        }

    def summary(self) -> dict[str, Any]:
        """For JSON: one line of the list."""
        return {
            "name": self.dialect.name,
            "title": self.dialect.title,
            "gates": self.gates,
            "orientation": self.orientation,
            "biases": self.biases,
            "extras": list(self.extras),
            "states": list(self.dialect.states),
            "evidence": self.dialect.evidence,
        }
