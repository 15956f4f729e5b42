"""Tensors → readings: which of them make a recurrent layer, and in which dialect.

Operators decide, then names; shapes only where names say nothing. A reading says which tensor stands where; whether
the shapes fit is asked of `solving`. What looks recurrent and is in no reading becomes a finding, so that nothing
passes in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace

from lstm_spec.conformance.recognition.groups import Group, ask_names, claim_names, read_fitting, read_group
from lstm_spec.conformance.recognition.halves import tell_unequal
from lstm_spec.conformance.recognition.lacking import read_lacking
from lstm_spec.conformance.recognition.operators import read_node
from lstm_spec.conformance.recognition.other_cells import find_other_cells
from lstm_spec.conformance.recognition.readings import KINDS, Reading, Recognized, Unread, is_of_files, place
from lstm_spec.conformance.recognition.slots import are_slots, set_slots_apart
from lstm_spec.conformance.recognition.solving import share_rows, solve
from lstm_spec.conformance.recognition.suspects import kept_in_parts, tell_suspects
from lstm_spec.conformance.recognition.tflite_operators import read_slots
from lstm_spec.conformance.recognition.unnamed import readings_by_shape
from lstm_spec.dialects import DIALECTS, Dialect
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Operator, Tensors

# Beside a cell's own tensors these change its equations: tfa's and TensorFlow 1's normalized cells and peepholes,
# PyTorch's benchmark of layer normalization.
CHANGES_EQUATIONS = re.compile(r"(?si).*(peephole|w_[fio]_diag|(kernel|recurrent|state)_norm|layer_?norm_[ihc]\b)")
# the formats whose operators say what is recurrent, and how each is read
OPERATORS = {"onnx": read_node, "tflite": read_slots}


@dataclass(slots=True)
class Account:
    """What has been said so far: the findings, and the tensors that they tell of."""

    findings: list[Finding]
    told: set[str] = field(default_factory=set)

    def tell(self, finding: Finding, names: Iterable[str] = ()) -> None:
        """One more finding, and the tensors that need no other."""
        self.findings.append(finding)
        self.told |= set(names)


def recognize(tensors: Tensors, dialect: Dialect | None = None) -> Recognized:
    """The recurrent layers among some tensors.

    `dialect` leaves only its own names to be read. Findings: `unread` for what looks recurrent and is in no reading,
    `ambiguous` where names say nothing, `unsupported` for an option that this version cannot express.
    """
    kept, slots = set_slots_apart(tensors)
    recognized = _recognize(kept, dialect)
    return replace(recognized, other=(*recognized.other, *slots))


def _recognize(tensors: Tensors, dialect: Dialect | None) -> Recognized:
    account = Account(list(tensors.findings))
    if tensors.format in OPERATORS:
        readings = list(_of_dialect(list(_read_operators(tensors, account)), dialect, tensors, account))
    else:
        readings = list(_read_names(tensors, dialect, account))
    silent = not readings and all(map(is_of_files, account.findings)) and not are_slots(tensors)
    if silent and tensors.format not in OPERATORS and tensors.live is None:
        readings, ambiguous = readings_by_shape(tensors, dialect)
        if ambiguous:
            account.tell(ambiguous, tensors)
    for reading in readings:
        account.findings += reading.problems
    account.findings += [] if tensors.format in OPERATORS else tell_unequal(tensors)
    used = {name for r in readings for name in (*r.names.values(), *r.constants)}
    if tensors.format in OPERATORS:  # what its operators use is told with them
        used |= {name for operator in tensors.operators for name in operator.tensors.values()}
    used |= {source for name in used for source in tensors[name].sources}
    for reading in readings:
        if beside := [name for name in _beside(reading, tensors) if name not in used | account.told]:
            account.tell(_changes_equations(reading, beside, tensors), beside)
    for finding, names in tell_suspects(tensors, tensors, used | account.told, dialect.name if dialect else ""):
        account.tell(finding, names)
    used |= account.told
    other = tuple(name for name in tensors if name not in used)
    return Recognized(tuple(_tell_apart(readings)), tuple(account.findings), other)


def _read_operators(tensors: Tensors, account: Account) -> Iterator[Reading]:
    read = OPERATORS[tensors.format]
    for operator in tensors.operators:
        told: list[Finding] = []
        reading = read(operator, place(tensors, operator.where), told)
        account.findings += [_of_operator(finding, operator, tensors) for finding in told]
        if reading:
            yield reading


def _of_operator(finding: Finding, operator: Operator, tensors: Tensors) -> Finding:
    """With what an operator that is not read says of itself: its type, and the shapes of its constants."""
    if finding.code != "unread":
        return finding
    shapes = tuple((role, tensors[name].shape) for role, name in operator.tensors.items())
    kind = KINDS.get(operator.kind, operator.kind)
    said = {field.name: getattr(finding, field.name) for field in fields(finding)}
    return Unread(**said, where=operator.where, kind=kind, shapes=shapes)


def _of_dialect(
    readings: Iterable[Reading], dialect: Dialect | None, tensors: Tensors, account: Account
) -> Iterator[Reading]:
    """The operators' readings in the dialect that was asked for; of the others it is told that they are none."""
    for reading in readings:
        own = reading.dialect.name
        if dialect is None or own == dialect.name:
            yield reading
            continue
        message = f"{safe(reading.where)} is an operator of {own}, and {dialect.name} was asked for"
        help = f"--dialect {own}, or none"
        account.tell(Finding("unread", message, place(tensors, reading.where), help=help), reading.names.values())


def _read_names(tensors: Tensors, dialect: Dialect | None, account: Account) -> Iterator[Reading]:
    for finding, names in find_other_cells(tensors):
        account.tell(finding, names)
    names = [name for name in tensors if name not in account.told]
    groups = claim_names(names, DIALECTS.values()) if dialect is None else ask_names(names, dialect)
    in_parts = {known.prefix for known in kept_in_parts(tensors) if not known.is_there}
    for group in groups:
        if group.prefix in in_parts:  # what is left of it would be a layer without the tensor
            continue
        reading = read_group(group, tensors) if dialect else read_fitting(group, tensors)
        if isinstance(reading, Finding):
            account.tell(reading, group.names)
        elif dialect or not group.is_joined or not solve(reading, tensors).findings:
            yield reading if dialect else share_rows(reading, tensors)
        else:  # its names are told as suspects
            continue
        if group.doubles:
            account.tell(_doubled(group, tensors), group.doubles)
    if dialect is None:
        taken = account.told.union(*(group.names for group in groups))
        yield from read_lacking([name for name in names if name not in taken], tensors)


def _doubled(group: Group, tensors: Tensors) -> Finding:
    return Finding(
        "names",
        f"{', '.join(safe(n, 60) for n in group.doubles)}: there is another tensor of that kind",
        at=place(tensors, group.where or tensors.origin),
        found=", ".join(safe(n, 60) for n in group.names),
        help=f"{group.dialect.name} has one of each; rename or remove what is no part of the layer",
    )


def _tell_apart(readings: Iterable[Reading]) -> Iterator[Reading]:
    """Two layers of one place, read in two dialects, get two names: `encoder`, `encoder#2`."""
    seen: set[str] = set()
    for reading in readings:
        where, number = reading.where, 1
        while where in seen:
            number += 1
            where = f"{reading.where}#{number}"
        seen.add(where)
        yield reading if where == reading.where else replace(reading, where=where)


def _beside(reading: Reading, tensors: Tensors) -> Iterator[str]:
    """The tensors under the prefix of a reading whose names say that its equations are not the plain ones."""
    own, source = next(iter(reading.names.items()))
    match = reading.dialect.pattern.fullmatch(source)
    prefix = match["prefix"] if match else source.removesuffix(own)
    if not match and prefix == source:  # an array without a name
        return
    yield from (n for n in tensors if n.startswith(prefix) and CHANGES_EQUATIONS.match(n.removeprefix(prefix)))


def _changes_equations(reading: Reading, names: list[str], tensors: Tensors) -> Finding:
    return Finding(
        "unread",
        f"{', '.join(safe(n, 60) for n in names[:4])}{' …' * (len(names) > 4)}: {reading.dialect.name} has no such"
        " tensor, and by its name it changes the equations",
        at=place(tensors, reading.where),
        expected=reading.dialect.title,
        help="describe the cell with --cell, its tensors under the names of its equations",
    )
