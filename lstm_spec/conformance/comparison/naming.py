"""What two sources call their layers → one spelling for both, and the order that numbers in names say.

`module.encoder` is `encoder`, where all names begin so, or most that both have; `/encoder/LSTM` and `encoder/cell` are,
too. The names for people stay as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lstm_spec.conformance.comparison.comparison import Side

# What ends a name and says only of what class it is: a node of PyTorch's exporter, a cell of Keras.
CLASS = re.compile(r"LSTM|LSTMCell|cell|lstm_cell(_\d{1,9})?")
NUMBER = re.compile(r"(?s)(?P<word>.*?)_?(?P<number>\d{0,9})")
Words = tuple[str, ...]


def align_names(first: Sequence[Side], second: Sequence[Side]) -> tuple[list[Side], list[Side]]:
    """Both with `called` and `listed` filled: names in one spelling, without the words that only one puts first."""
    spelled = [_spell([side.layer for side in sides]) for sides in (first, second)]
    before = _prefix(*(set(words.values()) for words in spelled))
    one, other = (
        [replace(s, called="/".join(_without(own, words[s.layer])), listed=at) for at, s in enumerate(sides)]
        for sides, words, own in zip((first, second), spelled, before, strict=True)
    )
    return one, other


def split_numbers(called: str) -> tuple[str, tuple[int, ...]]:
    """The words of a name and the numbers that end them: `layers/2/lstm` is number 2 of its kind, `lstm_1` number 1."""
    found = [match for word in called.split("/") if (match := NUMBER.fullmatch(word))]
    return "/".join(match["word"] for match in found), tuple(int(match["number"] or -1) for match in found)


def _spell(names: Sequence[str]) -> dict[str, Words]:
    """Each name as words, without those that all begin with; without the class, unless two names are one then."""
    whole = {name: tuple(filter(None, re.split("[/.]", name))) for name in names}
    before = _all_begin_with(list(whole.values())) if len(whole) > 1 else 0
    whole = {name: words[before:] for name, words in whole.items()}
    short = {name: _without_class(words) for name, words in whole.items()}
    return short if len(set(short.values())) == len(short) else whole


def _all_begin_with(names: Sequence[Words]) -> int:
    """How many words stand before all names; each keeps its last."""
    shortest = min(len(words) for words in names)
    return next((at for at in range(shortest) if at == shortest - 1 or len({words[at] for words in names}) > 1), 0)


def _without_class(words: Words) -> Words:
    short = words[:-1] if len(words) > 1 and CLASS.fullmatch(words[-1]) else words
    return short[:1] if short and short[0] == short[-1] else short  # `lstm/sequential_1/lstm`: as Keras names a group


def _prefix(first: set[Words], second: set[Words]) -> tuple[Words, Words]:
    """The words that must go from the names of each side so that most names are those of the other."""
    none: Words = ()
    counts = Counter({(none, none): len(first & second)})
    counts.update((none, before) for before in _extra(second, first))
    counts.update((before, none) for before in _extra(first, second))
    best = max(counts, key=lambda pair: (counts[pair], -len(pair[0]) - len(pair[1])))
    return best if 2 * counts[best] > min(len(first), len(second)) else (none, none)


def _extra(longer: set[Words], shorter: set[Words]) -> Iterator[Words]:
    """For each name that is one of the other side with words before it, these words."""
    yield from (words[:at] for words in sorted(longer) for at in range(1, len(words)) if words[at:] in shorter)


def _without(before: Words, words: Words) -> Words:
    return words[len(before) :] if before and words[: len(before)] == before and len(words) > len(before) else words
