"""A cell that is well formed → what is nevertheless likely to be a slip, as warnings.

What no cell may do is an error (`wellformed`, `shapes`); what a cell may do and seldom means is told here. Nothing is
run, and a cell's numbers are not looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lstm_spec.errors import Finding
from lstm_spec.phrases import counted, listed
from lstm_spec.symbolic.algebra import Name, Span, names
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.normal import Forms
from lstm_spec.symbolic.shapes import matrices
from lstm_spec.symbolic.sparsity import dependence


@dataclass(frozen=True, slots=True)
class LintReport:
    """The warnings about a cell, in the order of the rules."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no warning."""
        return not self.findings

    def __str__(self) -> str:
        count = len(self.findings)
        return "\n".join([*map(str, self.findings), counted(count, "warning") if count else "no warnings"])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"ok": self.ok, "findings": [f.to_dict() for f in self.findings]}


def lint_cell(cell: Cell) -> LintReport:
    """Hold a cell to every rule of `RULES`.

    >>> from lstm_spec.symbolic.language import parse
    >>> print(lint_cell(parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h + b) + b")))
    warning[reused]: b is read twice: in h'
      at       <text>:3   h' = tanh(W x + U h + b) + b
                                                     ^
      because  it is one tensor, counted and trained once
      help     if two tensors are meant, give each a name of its own
    1 warning
    """
    return LintReport(tuple(finding for rule in RULES for finding in rule(cell)))


def find_reused(cell: Cell) -> Iterator[Finding]:
    """A parameter that is read more than once: often a name that was copied and not changed."""
    twins = [set(group) for group in _equal(cell)]
    for parameter in cell.parameters:
        mentions = [(e, n) for e in cell.equations for n in names(e.expression) if n.name == parameter]
        places = [e.left for e, _ in mentions]
        copied = any(set(places) <= group and len(set(places)) == len(places) for group in twins)
        if len(mentions) > 1 and not copied:  # what makes two equations equal is told once, by find_equal
            often = "twice" if len(mentions) == 2 else f"{len(mentions)} times"
            equation, node = mentions[-1]
            yield _warning(
                cell,
                "reused",
                f"{parameter} is read {often}: in {listed(dict.fromkeys(places))}",
                equation,
                node,
                because="it is one tensor, counted and trained once",
                help="if two tensors are meant, give each a name of its own",
            )


def find_equal(cell: Cell) -> Iterator[Finding]:
    """Two equations that compute the same."""
    for group in _equal(cell):
        yield _warning(
            cell,
            "equal",
            f"{listed(group)} are the same",
            cell.defined[group[-1]],
            because=f"each is {cell.defined[group[0]].expression}",
            help="give each its own parameters, or write the one in place of the other",
        )


def _equal(cell: Cell) -> list[list[str]]:
    """The left-hand sides that compute the same; one that only repeats another's name is meant to."""
    groups: dict[int, list[str]] = defaultdict(list)
    for left, form in Forms().of_cell(cell).items():
        if not isinstance(cell.defined[left].expression, Name) and not cell.defined[left].total:
            groups[form].append(left)
    order = list(cell.defined)
    return [sorted(group, key=order.index) for group in groups.values() if len(group) > 1]


def find_ineffective(cell: Cell) -> Iterator[Finding]:
    """What reaches no output, at this step or at a later one: a gate never used, with all that leads to it."""
    used = _used(cell)
    dead = [e for e in cell.equations if not used & set(e.targets)]
    idle = [d.name for d in cell.inputs if d.name not in used]
    if dead or idle:
        told = [*idle, *(t for e in dead for t in e.targets)]
        outputs = listed(cell.outputs)
        yield _warning(
            cell,
            "no-effect",
            f"{listed(told)} {'has' if len(told) == 1 else 'have'} no effect on {outputs}",
            dead[0] if dead else None,
            because=f"nothing that {outputs} is computed from, at this step or before, reads "
            f"{'it' if len(told) == 1 else 'them'}",
            help=f"read {'it' if len(told) == 1 else 'them'}, or remove {'it' if len(told) == 1 else 'them'}",
        )


def _used(cell: Cell) -> set[str]:
    """Every name that an output, or a total, is computed from, at this step or before."""
    waiting = [cell.value_of(name) for name in cell.outputs]
    waiting += [target for e in cell.equations if e.total for target in e.targets]
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += cell.defined[name].reads if name in cell.defined else ()
            waiting += [name + "'"] * (cell.roles[name] == "state")
    return used


def find_unread_states(cell: Cell) -> Iterator[Finding]:
    """A state whose value before the step nobody reads: it is carried on for nothing."""
    read, used = {name for e in cell.equations for name in e.reads}, _used(cell)
    for declared in cell.states:
        name = declared.name
        if name not in read and name + "'" in used:
            yield _warning(
                cell,
                "unread-state",
                f"{name} is a state, and its value before the step is never read",
                cell.defined[name + "'"],
                because=f"every equation that reads it reads {name}'" if name + "'" in read else "",
                help=f"read {name}, or leave it out of the states and drop the prime: {name} = …",
            )


def find_constant(cell: Cell) -> Iterator[Finding]:
    """An equation of parameters alone: its value is the same at every step."""
    reached = dependence(cell)
    for equation in cell.equations:
        if not reached[equation.targets[0]]:
            message = f"{equation.left} reads no input and no state"
            because = "its value is the same at every step, and in every sequence"
            yield _warning(cell, "constant", message, equation, because=because, help="is a name misspelt?")


def find_look_alikes(cell: Cell) -> Iterator[Finding]:
    """A parameter vector whose name is another's but for case or underscores: `C` beside the state c."""
    roles = {name: role for name, role in cell.roles.items() if role != "parameter"}
    others = {_plain(name): name for name in roles}
    for parameter in cell.parameters:
        other = others.get(_plain(parameter))
        if other and parameter not in matrices(cell):
            equation = next(e for e in cell.equations if parameter in e.reads)
            node = next(n for n in names(equation.expression) if n.name == parameter)
            message = f"{parameter} is a parameter, and {other} {_article(roles[other])}"
            hint = f"write {other}, or give the parameter a name that looks like no other"
            yield _warning(cell, "look-alike", message, equation, node, help=hint)


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()


def _article(role: str) -> str:
    return {"input": "an input", "next": "a state after the step"}.get(role, f"a {role}")


def _warning(
    cell: Cell,
    code: str,
    message: str,
    equation: Equation | None,
    node: Name | None = None,
    because: str = "",
    help: str = "",
) -> Finding:
    span: Span | None = node.span if node else None
    at = cell.at(equation, span) if equation else ""
    return Finding(code, message, at=at, because=because, help=help, severity="warning")


RULES = (find_reused, find_equal, find_ineffective, find_unread_states, find_constant, find_look_alikes)
