"""A Keras configuration, JSON → plain values, with bounds that are checked before the parser builds anything."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from lstm_spec.checkpoints.files import malformed
from lstm_spec.checkpoints.strict_json import drop_escapes, drop_strings, keep_brackets, measure_depth, refuse_doubles
from lstm_spec.errors import safe

MAX_DEPTH = 100
# Parsed, a table takes some 200 bytes: 600 000 take about 100 MB.
MAX_PARTS = 600_000
NO_COMMAS = bytes(set(range(256)) - set(b",[{"))


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """The table that `data` writes. Raises Malformed for what is no table, is ambiguous, too deep or too much."""
    _check_bounds(data, what)
    try:
        parsed = json.loads(
            str(data, "utf-8"), object_pairs_hook=refuse_doubles("the configuration"), parse_constant=_no_number
        )
    except ValueError as error:
        raise malformed("config", f"{what} is not JSON", because=safe(error)) from None
    if type(parsed) is not dict:
        raise malformed("config", f"{what} is not a table", found=safe(type(parsed).__name__))
    return parsed


def _check_bounds(data: bytes, what: str) -> None:
    outside = drop_strings(drop_escapes(data))
    parts = len(outside.translate(None, NO_COMMAS))
    if parts > MAX_PARTS:
        raise malformed("too-large", f"{what} has too many parts", expected=f"at most {MAX_PARTS}", found=f"{parts}")
    depth = measure_depth(keep_brackets(outside))
    if depth > MAX_DEPTH:
        raise malformed(
            "nesting", f"{what} is nested too deeply", expected=f"at most {MAX_DEPTH} levels", found=f"{depth}"
        )


def _no_number(text: str) -> NoReturn:
    raise malformed("config", "the configuration holds a number that is none", found=safe(text))
