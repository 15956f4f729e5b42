"""A protobuf message, walked before it is parsed: how many parts it has and how deeply they are nested.

A parsed message costs about 70 bytes of memory for each part, however small it is in the file: 7 MB of empty nodes
became 243 MB. So the parts are counted first, without keeping any, and too many are refused. What is no message at
all is left to the parser, which says so.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lstm_spec.checkpoints.files import malformed

MAX_PARTS = 1_000_000
MAX_NESTING = 100  # protobuf's own limit

FIXED = {1: 8, 5: 4}
VARINT, DELIMITED = 0, 2


@cache
def _messages_in(message: Any) -> dict[int, Any]:
    """The numbers of a message type's fields that hold messages, with the type of each."""
    return {field.number: field.message_type for field in message.fields if field.message_type}


def check_parts(data: bytes, message: Any) -> None:
    """Raises Malformed when a message of that type (a descriptor) has more parts, or deeper ones, than are read."""
    parts, stack = 0, [(0, len(data), message)]
    while stack:
        at, end, message = stack.pop()
        inner = _messages_in(message)
        while at < end:
            parts += 1
            if parts > MAX_PARTS:
                raise malformed("too-large", "the model has too many parts", expected=f"at most {MAX_PARTS}")
            key, at = _varint(data, at, end)
            kind = key & 7
            if kind == VARINT:
                _, at = _varint(data, at, end)
            elif kind == DELIMITED:
                size, at = _varint(data, at, end)
                if size > end - at:
                    return
                if (known := inner.get(key >> 3)) and size:
                    stack += [(at + size, end, message), (at, at + size, known)]
                    break
                at += size
            elif kind in FIXED:
                at += FIXED[kind]
            else:
                return
        if len(stack) > MAX_NESTING:
            raise malformed("nesting", "the model is nested too deeply", expected=f"{MAX_NESTING} messages")


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number, and where the next one begins; a broken one ends the message."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    return 0, end
