"""A report → a contract, as TOML; `clauses` reads one, and `keeping` holds a report to it.

A contract names every recurrent layer of a file: where, in which dialect, its sizes, its equations. What it leaves out
it does not hold, so that a person may delete lines; a layer that it does not name is a finding. What no file says and
was assumed stands in it as that.
"""

from __future__ import annotations

import json

from lstm_spec.conformance.report import FoundLayer, Report
from lstm_spec.conformance.verdict.accepting import as_unread, is_elsewhere, shapes_of, unread_beside, where_of
from lstm_spec.conformance.verdict.clauses import LONGEST, read_contract
from lstm_spec.conformance.verdict.keeping import PLAIN, Contract, Promise, assumed_of, hold_report, told_of
from lstm_spec.errors import Finding, TensorError, safe

TITLE = "# The recurrent layers of a file; lstm-spec check FILE --spec THIS holds a file to them.\n"


def write_contract(report: Report) -> str:
    """The layers of a report as a contract, in TOML; what is recurrent beside them and not read is accepted by a line.

    Raises TensorError when the report is of a file that does not conform otherwise: there is nothing to hold others to.
    """
    unread = [finding for finding in report.findings if is_elsewhere(finding, report)]
    if not report.layers or any(f.severity == "error" and f not in unread for f in report.findings):
        raise TensorError(
            Finding(
                "spec",
                "only a file that conforms can be a contract for others",
                at=safe(report.origin),
                found=report.verdict,
                help="lstm-spec check says what does not fit",
            )
        )
    accepted = (_accepted(where, finding) for where, finding in unread_beside(report).items())
    return TITLE + "\n".join([*accepted, *(_table(found, report) for found in report.layers)])


def _accepted(where: str, finding: Finding) -> str:
    """What is not read, with the reason: its place, what it is, the shapes of its tensors."""
    found, shapes = as_unread(finding), shapes_of(as_unread(finding))
    lines = [f"# Recurrent and not read: {safe(finding.message, None)}", "[[unread]]", f"at = {_quoted(where)}"]
    lines += [f"kind = {_quoted(found.kind)}"] * bool(found.kind)
    lines += [f"shapes = {{ {', '.join(f'{_quoted(n)} = {list(s)}' for n, s in shapes.items())} }}"] * bool(shapes)
    return "\n".join([*lines, ""])


def _table(found: FoundLayer, report: Report) -> str:
    """One layer: a fact a line, then its sizes by letter, then its equations."""
    told = told_of(found)
    lines = [f"at = {_quoted(where_of(found, report))}"]
    lines += [f"{name} = {_quoted(told[name]) if PLAIN[name] is str else told[name]}" for name in PLAIN if name in told]
    if assumed := assumed_of(found):
        lines.append(f"assumed = [{', '.join(map(_quoted, assumed))}]  # read nowhere")
    lines.append(f"sizes = {{ {', '.join(f'{letter} = {value}' for letter, value in told['sizes'].items())} }}")
    return "\n".join(["[[layer]]", *lines, f'equations = """\n{found.layer.cell}\n"""', ""])


def _quoted(text: str) -> str:
    """A TOML basic string: JSON escapes the same characters but for DEL, which no `safe` text has."""
    return json.dumps(text, ensure_ascii=False)


__all__ = ["LONGEST", "Contract", "Promise", "hold_report", "read_contract", "write_contract"]
