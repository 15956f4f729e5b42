"""People's words for the parts of a recurrent layer → this project's words and letters, and who means what by them.

Data, with sources: documentation and code that was read, or papers by the notes and code that cite them. Where sources
disagree each is named. Decides nothing about a layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from lstm_spec.errors import Finding, OptionError, safe

PYTORCH = "torch/nn/modules/rnn.py 2.13"
KERAS = "keras/src/layers/rnn 3.15"
TF1 = "tf_keras/src/layers/rnn/legacy_cells.py 2.21"
ONNX = "onnx.defs.get_schema('LSTM'), opset 22"


@dataclass(frozen=True, slots=True)
class Meaning:
    """Who means what by a word, and where that was read."""

    who: str
    means: str
    source: str

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"who": self.who, "means": self.means, "source": self.source}


@dataclass(frozen=True, slots=True)
class Entry:
    """Words for one thing: what it is `here`, and what others mean where that needs saying."""

    words: tuple[str, ...]
    here: str
    meanings: tuple[Meaning, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"words": list(self.words), "here": self.here, "meanings": [m.to_dict() for m in self.meanings]}


@dataclass(frozen=True, slots=True)
class Glossary:
    """Some entries, in the order of the glossary."""

    entries: tuple[Entry, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"entries": [entry.to_dict() for entry in self.entries]}


def look_up(word: str) -> Glossary:
    """Every entry that has the word: written alike, else without regard to case, spaces, hyphens and underscores.

    >>> [entry.here for entry in look_up("Hidden Size").entries]
    ['k, the number of hidden units: the rows of c, and of h where nothing projects it']

    Raises OptionError when there is none.
    """
    entries = all_entries()
    exact = tuple(entry for entry in entries if word in entry.words)
    found = exact or tuple(e for e in entries if _plain(word) in map(_plain, e.words))
    if not found:
        known = {_plain(w): w for entry in entries for w in entry.words}
        near = get_close_matches(_plain(word), known, n=1)
        hint = f"did you mean {known[near[0]]}? " if near else ""
        raise OptionError(
            Finding("word", f"the glossary has no word {safe(word, 40)}", help=f"{hint}lstm-spec glossary lists them")
        )
    return Glossary(found)


def all_entries() -> tuple[Entry, ...]:
    """The whole glossary."""
    from lstm_spec.dialects.words import ENTRIES

    return ENTRIES


def _plain(word: str) -> str:
    return "".join(_letters(word.lower()))


def _letters(word: str) -> Iterator[str]:
    return (ch for ch in word if ch not in " -_")
