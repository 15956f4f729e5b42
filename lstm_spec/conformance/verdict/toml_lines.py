"""The text of a contract → the line on which each of its keys stands, for messages; nothing is refused here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

HEADER = re.compile(r"\s*\[\[\s*([\w-]+)\s*\]\]")
KEY = re.compile(r"\s*([\w-]+)\s*=")
MARKS = re.compile(r'"""|' + "'''")
Key = tuple[str, int, str]  # a table, its number from 1, a key; "" for the table's header and before any table


def find_lines(text: str) -> Mapping[Key, int]:
    """The line of each header and key, counted from 1; what stands in the lines of a text is none."""
    found: dict[Key, int] = {}
    numbers: Counter[str] = Counter()
    table, open_mark = "", ""
    for number, line in enumerate(text.split("\n"), 1):
        if not open_mark:
            if header := HEADER.match(line):
                table = header[1]
                numbers[table] += 1
                found[table, numbers[table], ""] = number
            elif key := KEY.match(line):
                found.setdefault((table, numbers[table], key[1]), number)
        if open_mark or not line.lstrip().startswith("#"):
            for mark in MARKS.findall(line):
                open_mark = "" if mark == open_mark else open_mark or mark
    return found
