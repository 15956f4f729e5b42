"""Names that a file may give twice → names that are each given once."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Names:
    """Gives each name once; the second `a` becomes `a#2`."""

    counts: dict[str, int] = field(default_factory=dict)

    def claim(self, name: str) -> str:
        claimed = name
        while claimed in self.counts:
            self.counts[name] += 1
            claimed = f"{name}#{self.counts[name]}"
        self.counts[claimed] = 1
        return claimed
