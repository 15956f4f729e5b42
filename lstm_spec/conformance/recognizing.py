"""Tensors → readings: which of them make a recurrent layer, and in which dialect.

Names and operators decide; shapes do not, here. A reading says which tensor stands where; whether the shapes fit is
asked of `solving`. What looks recurrent and is in no reading becomes a finding, so that nothing passes in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lstm_spec.cells.family import LstmOptions, lstm_cell
from lstm_spec.conformance.operators import apply_live_options, read_node
from lstm_spec.conformance.readings import Reading, Recognized
from lstm_spec.dialects import DIALECTS, Dialect
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.layer import Layer
from lstm_spec.layers.tensors import Tensors

LOOKS_RECURRENT = re.compile(r"lstm|gru|rnn|recurrent|weight_[ih]h|hidden_to_hidden", re.IGNORECASE)


def recognize(tensors: Tensors, dialect: Dialect | None = None) -> Recognized:
    """The recurrent layers among some tensors.

    `dialect` leaves only its own names to be read. Findings: `unread` for what looks recurrent and is in no reading,
    `unsupported` for an option that this version cannot express.
    """
    findings = list(tensors.findings)
    if tensors.format == "onnx":
        readings = [r for op in tensors.operators if (r := read_node(op, _at(tensors, safe(op.where)), findings))]
    else:
        readings = list(_read_names(tensors, [dialect] if dialect else DIALECTS.values(), findings))
    used = {name for r in readings for name in (*r.names.values(), *r.constants)}
    used |= {name for operator in tensors.operators for name in operator.tensors.values()}
    other = tuple(name for name in tensors if name not in used)
    if tensors.format != "onnx":
        told = " ".join(f.at for f in findings)
        findings += [_looks_recurrent(n, tensors) for n in other if _is_suspect(n, tensors) and safe(n) not in told]
    return Recognized(tuple(readings), tuple(findings), other)


# ---- by name ----


def _read_names(tensors: Tensors, dialects: Iterable[Dialect], findings: list[Finding]) -> Iterator[Reading]:
    taken: set[str] = set()
    for dialect in dialects:
        groups: dict[str, dict[tuple[str, int, bool], str]] = {}
        for name in tensors:
            match = dialect.pattern.fullmatch(name) if name not in taken else None
            if match:
                parts = match.groupdict()
                key = (parts["tensor"], int(parts.get("layer") or 0), bool(parts.get("reverse")))
                groups.setdefault(parts["prefix"], {})[key] = name
        for prefix, found in groups.items():
            if dialect.recurrent & {kind for kind, _, _ in found}:
                reading = _read_group(prefix, found, dialect, tensors, findings)
                taken |= set(found.values()) if reading else set()
                yield from [reading] if reading else []


def _read_group(
    prefix: str, found: dict[tuple[str, int, bool], str], dialect: Dialect, tensors: Tensors, findings: list[Finding]
) -> Reading | None:
    where = prefix.rstrip("./") or tensors.origin
    gates = _gate_count(found, dialect, tensors)
    if gates in (1, 3):
        findings.append(_other_cell(where, "GRU" if gates == 3 else "simple RNN", found, tensors))
        return None
    layers = 1 + max(index for _, index, _ in found)
    absent = sorted(set(range(layers)) - {index for _, index, _ in found})
    if absent:
        findings.append(
            Finding(
                "layers",
                f"layer {', '.join(map(str, absent[:5]))} is missing between 0 and {layers - 1}",
                at=_at(tensors, where),
                help="a stack is numbered without gaps",
            )
        )
        return None
    options = dialect.options({kind for kind, _, _ in found})
    direction = "both" if any(reverse for _, _, reverse in found) else "forward"
    layout = "batch" if dialect.batch_first else "time"
    layer = Layer(lstm_cell(LstmOptions(**options)), layers=layers, direction=direction, layout=layout)  # type: ignore[arg-type]
    operator = next((o for o in tensors.operators if set(found.values()) <= set(o.tensors.values())), None)
    layer, problems = apply_live_options(layer, operator, _at(tensors, safe(where)))
    findings += problems
    names = {
        dialect.template.format(tensor=kind, layer=index, reverse=dialect.reversed_ if reverse else ""): name
        for (kind, index, reverse), name in found.items()
    }
    return Reading(where, dialect, layer, names, operator, is_expressed=not problems)


def _gate_count(found: Mapping[tuple[str, int, bool], str], dialect: Dialect, tensors: Tensors) -> int | None:
    """How many gates the recurrent matrices say there are; None where they disagree, or a projection hides it."""
    packed = {p.name: p for p in dialect.packings if p.name in dialect.recurrent}
    if any(kind == "weight_hr" for kind, _, _ in found) or len(packed) > 1:
        return None
    counts = set()
    for (kind, _, _), name in found.items():
        shape = tensors[name].shape[-2:]
        if kind in packed and len(shape) == 2:
            rows, columns = shape[::-1] if packed[kind].transposed else shape
            counts.add(rows // columns if columns and rows % columns == 0 else None)
    return counts.pop() if len(counts) == 1 else None


def _other_cell(where: str, kind: str, found: Mapping[Any, str], tensors: Tensors) -> Finding:
    return Finding(
        "unread",
        f"{safe(where)} is a {kind}, by the rows of its recurrent matrix; this version reads LSTMs",
        at=_at(tensors, ", ".join(safe(n) for n in found.values())),
    )


def _is_suspect(name: str, tensors: Tensors) -> bool:
    return bool(LOOKS_RECURRENT.search(name)) and len(tensors[name].shape) >= 2


def _looks_recurrent(name: str, tensors: Tensors) -> Finding:
    return Finding(
        "unread",
        f"{safe(name)} looks recurrent by its name, and no dialect reads it",
        at=_at(tensors, f"{safe(name)} {tensors[name].shape}"),
        expected=f"names of {', '.join(DIALECTS)}",
        help="name the dialect with --dialect, or rename the tensors",
    )


def _at(tensors: Tensors, where: str) -> str:
    return f"{safe(tensors.origin)} : {where}"
