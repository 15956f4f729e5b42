"""Cells that are only numbered: a stack, or layers in both directions, as the widths of their inputs say.

Chainer numbers the cells of `NStepBiLSTM` through: 2l is layer l forward, 2l + 1 the same layer in reverse. The second
cell reads x there, of n features, and the third both outputs below it, of 2k; in a stack each reads the k below it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from lstm_spec.dialects import Dialect

Key = tuple[str, int, bool]  # the kind of tensor, its layer, whether it is of the reverse direction
LAYER_SAYS = 'in Python a layer says it: ls.dialects.get("{}").unpack(arrays, layer)'


def number_cells(found: Mapping[Key, str], dialect: Dialect, shapes: Mapping[str, tuple[int, ...]]) -> dict[Key, str]:
    """The tensors by layer and direction, found by the number of their cell.

    Raises ValueError, which says both readings, where two cells of n = k are either.
    """
    count = 1 + max(number for _, number, _ in found)
    widths = [_width(found, number, dialect, shapes) for number in range(min(count, 3))]
    k = _rows(found, dialect, shapes)
    if count == 2 and widths[0] == widths[1] == k:
        raise ValueError(f"a stack of 2 layers or one layer in both directions: with n = k = {k} both fit")
    if count % 2 or (widths[0] != widths[1] if count == 2 else widths[2] != 2 * k):
        return dict(found)
    return {(kind, number // 2, bool(number % 2)): name for (kind, number, _), name in found.items()}


def _width(found: Mapping[Key, str], cell: int, dialect: Dialect, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How wide the input of a cell is, by most of its tensors; 0 where none tells."""
    on_x = {packing.name for packing in dialect.packings if packing.families[0].startswith("W_")}
    return _most(shapes[name] for (kind, number, _), name in found.items() if number == cell and kind in on_x)


def _rows(found: Mapping[Key, str], dialect: Dialect, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The hidden units, by most recurrent matrices."""
    return _most(shapes[name] for (kind, _, _), name in found.items() if kind in dialect.recurrent)


def _most(shapes: Iterable[tuple[int, ...]]) -> int:
    """The width of most matrices; 0 where there is none."""
    return Counter([shape[1] for shape in shapes if len(shape) == 2] or [0]).most_common(1)[0][0]
