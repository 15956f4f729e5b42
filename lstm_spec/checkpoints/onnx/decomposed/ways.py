"""What a value depends on, and whether through a product or a gate: sets of sources, as the bits of whole numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PRODUCT, GATE = 1, 2


@dataclass(frozen=True, slots=True)
class Way:
    """For each of PRODUCT and GATE, alone and together, the sources that a value depends on through them, as bits."""

    bits: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __or__(self, other: Way) -> Way:
        a, b = self.bits, other.bits
        return Way((a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]))

    def past(self, what: int) -> Way:
        """The way past a product or a gate."""
        bits = [0, 0, 0, 0]
        for flags, mask in enumerate(self.bits):
            bits[flags | what] |= mask
        return Way((bits[0], bits[1], bits[2], bits[3]))

    def through(self, what: int) -> int:
        """The sources from which some way passes this."""
        return sum_of(mask for flags, mask in enumerate(self.bits) if flags & what == what)

    @property
    def any(self) -> int:
        return sum_of(self.bits)


def sum_of(masks: Iterable[int]) -> int:
    """The union of the bits."""
    whole = 0
    for mask in masks:
        whole |= mask
    return whole


NOWHERE = Way()


def closure_of(masks: list[int]) -> list[int]:
    """For each state all states that it depends on in any number of rounds."""
    reach = list(masks)
    for middle in range(len(reach)):
        for number in range(len(reach)):
            if reach[number] >> middle & 1:
                reach[number] |= reach[middle]
    return reach
