"""Where each number lies in a framework's tensors, as data; and the one way to put them there and take them out.

Comes in: a cell's parameters under a layer's names, each in the shape of the equations. Goes out: one tensor of a
framework; and back. Knows no framework and no file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from sympy import Integer

from lstm_spec.errors import Finding, TensorError

Array = np.ndarray[Any, Any]
Arrangement = Literal["blocks", "units", "axis"]


@dataclass(frozen=True, slots=True)
class Packing:
    """One kind of tensor: which of the cell's parameters lie in it, and where.

    `families` such as `b_W{}` are written out for each gate of `gates`, family by family, and stand one under the
    other; `joined` families stand side by side, as W and U do in one matrix on [x, h]. `arranged` says how the gates
    lie: in blocks of k rows, unit by unit (row 4j + q is gate q of unit j), or on an axis of their own, the one of
    number `axis`. `transposed` tensors hold the gates as columns (y = x W); `reshaped` ones too, but
    each gate's (n, k) columns are its (k, n) numbers in their own order, not turned. `column` vectors have an axis of
    1 behind. `option` is what the presence of the tensor says about the cell.
    """

    name: str
    families: tuple[str, ...]
    gates: str = ""
    transposed: bool = False
    option: tuple[str, Any] | None = None
    joined: bool = False
    arranged: Arrangement = "blocks"
    axis: int = 0
    column: bool = False
    reshaped: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The parameters, first rows first: `W_i, W_f, W_g, W_o`."""
        return self.parts_without(())

    def parts_without(self, dead: Collection[str]) -> tuple[str, ...]:
        """Those of the other gates: `W_i, W_g, W_o` without f."""
        kept = [gate for gate in self.gates if gate not in dead]
        return tuple(f.format(g) for f in self.families for g in (kept if "{}" in f else "x"))

    @property
    def is_matrix(self) -> bool:
        """Whether its parts are matrices: W_f, U_f, P_f; biases and diagonal peepholes are vectors."""
        return self.families[0][0] in "WUP"


@dataclass(frozen=True, slots=True)
class PackedTensor:
    """One tensor of a layer: its name, its parts by full name for each direction, and its derived shape.

    A part that `shapes` does not have is dead: as many rows as the others, 0 when packed, dropped when unpacked.
    `axes` counts the leading axes: directions, or layers (always 1) and directions.
    """

    name: str
    packing: Packing
    parts: tuple[tuple[str, ...], ...]
    shapes: Mapping[str, tuple[Any, ...]] = field(repr=False)
    axes: int = 0

    @property
    def shape(self) -> tuple[Any, ...]:
        """The derived shape, in the layer's letters or numbers."""
        packing = self.packing
        families = self.families
        first = families[0]
        sizes = [self._size(name, first) for name in first]
        size: tuple[Any, ...] = sizes[0]
        if packing.joined:
            size = (size[0], sum((self._size(f[0], f)[1] for f in families), Integer(0)))
        if packing.arranged != "axis":
            names = first if packing.joined else [n for f in families for n in f]
            size = (sum((self._size(n, f)[0] for f in families for n in f if n in names), Integer(0)), *size[1:])
        size = size[::-1] if packing.transposed else size
        if packing.arranged == "axis":
            size = (*size[: packing.axis], Integer(len(first)), *size[packing.axis :])
        size = (*size, Integer(1)) if packing.column else size
        return (*(Integer(1),) * (self.axes - 1), *(Integer(len(self.parts)),) * (self.axes > 0), *size)

    @property
    def symbolic(self) -> str:
        """`(4*k, n)`."""
        return f"({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"

    def pack(self, weights: Mapping[str, Array]) -> Array:
        """The tensor, from the weights it holds."""
        packed = [self._pack_one(names, weights) for names in self.parts]
        array = np.stack(packed) if self.axes else packed[0]
        return np.ascontiguousarray(array[None] if self.axes > 1 else array)

    def unpack(self, array: Array) -> dict[str, Array]:
        """The weights that the tensor holds. Raises TensorError when it does not have its shape."""
        expected = tuple(map(int, self.shape)) if all(s.is_Integer for s in self.shape) else None
        if array.shape != expected:
            raise TensorError(
                Finding(
                    "shape", f"{self.name} does not have the derived shape", "", f"{self.symbolic}", str(array.shape)
                )
            )
        array = array[0] if self.axes > 1 else array
        found: dict[str, Array] = {}
        for names, block in zip(self.parts, array if self.axes else [array], strict=True):
            found |= self._unpack_one(names, block)
        return {name: found[name] for names in self.parts for name in names if name in self.shapes}

    @property
    def families(self) -> list[list[str]]:
        """The parts of the first direction by full name, a list for each family."""
        return self._families(self.parts[0])

    def shape_of(self, name: str) -> tuple[Any, ...]:
        """The shape of one of its parts, by full name; of a dead one, that of its living neighbours."""
        return self._size(name, next(family for family in self.families if name in family))

    def _families(self, names: Sequence[str]) -> list[list[str]]:
        """The names of one direction, a list for each family."""
        left = iter(names)
        return [[next(left) for _ in (self.packing.gates if "{}" in f else "x")] for f in self.packing.families]

    def _size(self, name: str, family: Sequence[str]) -> tuple[Any, ...]:
        """A part's shape; that of a living one of its family for a dead one."""
        return self.shapes[name if name in self.shapes else next(n for n in family if n in self.shapes)]

    def _pack_one(self, names: Sequence[str], weights: Mapping[str, Array]) -> Array:
        packing = self.packing
        families = [[self._block(name, family, weights) for name in family] for family in self._families(names)]
        # joined: for each gate its parts side by side
        blocks = [np.concatenate(side, axis=1) for side in zip(*families, strict=True)] if packing.joined else []
        blocks = blocks or [block for family in families for block in family]
        if packing.arranged == "axis":
            packed = np.stack([block.T if packing.transposed else block for block in blocks], packing.axis)
        else:
            joined = np.concatenate(blocks) if packing.arranged == "blocks" else np.stack(blocks, axis=1)
            rows = joined.reshape(-1, *blocks[0].shape[1:])
            packed = rows.T if packing.transposed else rows
        return packed[:, None] if packing.column else packed

    def _block(self, name: str, family: Sequence[str], weights: Mapping[str, Array]) -> Array:
        if name in self.shapes:
            part = weights[name]
            return part.reshape(part.shape[::-1]).T if self.packing.reshaped else part
        return np.zeros_like(weights[next(n for n in family if n in self.shapes)])

    def _unpack_one(self, names: Sequence[str], packed: Array) -> dict[str, Array]:
        packing = self.packing
        packed = packed[:, 0] if packing.column else packed
        families = self._families(names)
        stacked = families[0] if packing.joined else [n for family in families for n in family]
        if packing.arranged == "axis":
            blocks = [block.T if packing.transposed else block for block in np.moveaxis(packed, packing.axis, 0)]
        else:
            rows = packed.T if packing.transposed else packed
            if packing.arranged == "units":
                blocks = [rows[q :: len(stacked)] for q in range(len(stacked))]
            else:
                heights = [int(self._size(n, family)[0]) for family in families for n in family if n in stacked]
                blocks = np.split(rows, np.cumsum(heights)[:-1])
        if packing.reshaped:
            blocks = [block.T.reshape(block.shape) for block in blocks]
        if not packing.joined:
            return dict(zip(stacked, blocks, strict=True))
        widths = np.cumsum([int(self._size(family[0], family)[1]) for family in families])[:-1]
        sides = [np.split(block, widths, axis=1) for block in blocks]
        return {n: side[f] for f, family in enumerate(families) for n, side in zip(family, sides, strict=True)}
