"""Is a cell well formed? Every name defined once, read by somebody, and computable; dimensions are not asked here.

Comes in: a `Cell` being made. Goes out: nothing, or the first `CellError` in the order of the laws below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, NoReturn

from lstm_spec.errors import CellError, Finding, safe
from lstm_spec.symbolic.algebra import FUNCTIONS, Call, Name, Number, Span, names, walk

if TYPE_CHECKING:
    from lstm_spec.symbolic.cell import Cell, Declaration, Equation

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_cell(cell: Cell) -> None:
    """Hold a cell to every law of `LAWS`, in that order.

    Raises CellError with the place, the reason and what to write instead.
    """
    for law in LAWS:
        law(cell)


def _fail(
    cell: Cell,
    code: str,
    message: str,
    where: Declaration | Equation | str,
    help: str = "",
    *,
    node: Name | Call | None = None,
    found: str = "",
    because: str = "",
) -> NoReturn:
    span: Span | None = None if isinstance(where, str) else (node.span if node else None) or where.span
    at = cell.source.quote(span) if cell.source and span else str(where)
    raise CellError(Finding(code, message, at=at, found=found, because=because, help=help))


def _similar(name: str, others: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(name, [o for o in others if o != name], n=1, cutoff=0.6)), None)


def forbid_empty(cell: Cell) -> None:
    """A cell has at least one equation."""
    if not cell.equations:
        name = cell.source.name if cell.source else ""
        _fail(cell, "empty", "the cell has no equations", name, "write at least one: h' = tanh(W x + U h + b)")


def forbid_odd_names(cell: Cell) -> None:
    """A name is an ASCII identifier, with a prime perhaps, and neither a function nor a keyword."""
    from lstm_spec.symbolic.cell import KEYWORDS, Declaration

    named: list[tuple[Declaration | Equation, tuple[str, ...]]] = [(d, (d.name, *d.order)) for d in cell.declarations]
    named += [(e, (*e.targets, *e.reads)) for e in cell.equations]
    for where, used in named:
        for name in used:
            if name in FUNCTIONS or name in KEYWORDS:
                kind = "a function" if name in FUNCTIONS else "a keyword"
                _fail(cell, "reserved", f"{name} is {kind}: nothing can be named so", where, "choose another name")
            is_letter = isinstance(where, Declaration) and name in where.order
            if not IDENTIFIER.fullmatch(name if is_letter else name.removesuffix("'")):
                _fail(cell, "name", f"{safe(name)} is no name", where, "a name is ASCII letters, digits and _")


def forbid_odd_sizes(cell: Cell) -> None:
    """A tensor has one size or two, each a sum of letters with whole factors ≥ 1."""
    for declared in cell.declarations:
        if not 1 <= len(declared.size) <= 2:
            message = f"{declared.name} has {len(declared.size)} sizes"
            _fail(cell, "size", message, declared, "a vector has one, c[k]; a matrix has two, W[k, n]")
        for size in declared.size:
            if any(not (c.is_Integer and c > 0 and a.is_Symbol) for a, c in size.as_coefficients_dict().items()):
                _fail(cell, "size", f"{size} is no sum of letters", declared, "write k, 4k, or n + k")


def forbid_twice(cell: Cell) -> None:
    """A name is declared once, defined once and given out once."""
    seen: set[str] = set()
    for declared in cell.declarations:
        if declared.name in seen:
            _fail(cell, "twice", f"{declared.name} is declared twice", declared, "remove one of the two")
        seen.add(declared.name)
    kinds = {d.name: "an input" for d in cell.inputs} | {d.name: "a state" for d in cell.states}
    defined: set[str] = set()
    for equation in cell.equations:
        for target in equation.targets:
            if target in kinds:
                hint = f"write {target}' for its value after the step" if kinds[target] == "a state" else "rename one"
                _fail(cell, "twice", f"{target} is {kinds[target]} and cannot be defined", equation, hint)
            if target in defined:
                _fail(cell, "twice", f"{target} is defined twice", equation, "rename or remove one of the two")
            defined.add(target)
    for output in cell.outputs:
        if cell.outputs.count(output) > 1:
            _fail(cell, "twice", f"{output} is an output twice", _output_line(cell), "remove one of the two")


def forbid_letter_clash(cell: Cell) -> None:
    """Size letters and tensor names share one namespace, and B, T, L, D are the layer's own."""
    from lstm_spec.symbolic.cell import AXES

    for declared in cell.declarations:
        for name in declared.order:
            if name in AXES:
                _fail(cell, "letter", f"{name} is taken: it counts {AXES[name]}", declared, "choose another letter")
            if name in cell.roles:
                role = (
                    "an equation's name" if cell.roles[name] in ("gate", "total") else f"the name of {_a(cell, name)}"
                )
                _fail(cell, "letter", f"{name} is {role} and a size at once", declared, "choose another letter")


def _a(cell: Cell, name: str) -> str:
    role = cell.roles[name]
    return f"an {role}" if role == "input" else f"a {role}"


def forbid_loose_primes(cell: Cell) -> None:
    """A prime marks the value of a state after the step, or an input that saved it; nothing else."""
    states = {d.name for d in cell.states}
    inputs = {d.name for d in cell.inputs}
    for declared in cell.declarations:
        base = declared.name.rstrip("'")
        if declared.name != base and (declared not in cell.inputs or base in states):
            hint = f"{base} is a state: an equation writes {declared.name}" if base in states else "drop the prime"
            _fail(cell, "prime", f"{declared.name} cannot be declared", declared, hint)
    found = f"the states are {', '.join(d.name for d in cell.states)}" if states else "the cell has no state"
    for equation in cell.equations:
        mentions = [(Name(target), None) for target in equation.targets] + [(n, n) for n in names(equation.expression)]
        for name, node in mentions:
            base = name.name.removesuffix("'")
            if name.name != base and base not in states and name.name not in inputs:
                message = f"{name} has a prime, but {base} is no state"
                hint = f"declare it, state {base}[…], or drop the prime"
                _fail(cell, "prime", message, equation, hint, node=node, found=found)
            if name.name != base and node is None and equation.total:
                hint = f"write = for the new value of the state {base}"
                _fail(cell, "prime", f"{name} cannot be a total", equation, hint)


def forbid_lone_numbers(cell: Cell) -> None:
    """An equation reads at least one tensor."""
    for equation in cell.equations:
        if not any(True for _ in names(equation.expression)):
            value = "a number" if isinstance(equation.expression, Number) else "made of numbers only"
            hint = f"write the number where {equation.left} is read: a number spreads, as in 1 - f"
            _fail(cell, "number", f"{equation.left} is {value}: it has no rows", equation, hint)


def require_updates(cell: Cell) -> None:
    """Every state has a value after the step."""
    for declared in cell.states:
        if declared.name + "'" not in cell.defined:
            name = declared.name
            _fail(cell, "state", f"the state {name} is never updated", declared, f"add an equation: {name}' = …")


def require_outputs(cell: Cell) -> None:
    """An output is an equation or a state."""
    totals = [target for e in cell.equations if e.total for target in e.targets]
    known = [d.name for d in cell.states] + [n for n in cell.defined if not n.endswith("'") and n not in totals]
    for name in cell.outputs:
        if name in totals:
            hint = "it is handed out at the end of the sequence without being named"
            _fail(cell, "output", f"{name} is a total and cannot be an output", _output_line(cell), hint)
        if name not in known:
            near = _similar(name, known)
            hint = f"did you mean {near}?" if near else f"add a line: output {known[-1]}" if known else ""
            because = "h is the output where no line names another" if cell.outputs == ("h",) else ""
            message = f"the output {name} is no state and no equation"
            _fail(cell, "output", message, _output_line(cell), hint, because=because)


def _output_line(cell: Cell) -> str:
    return f"output {', '.join(cell.outputs)}"


def forbid_unread(cell: Cell) -> None:
    """Whatever is declared or computed is read; primes, outputs and totals are exempt."""
    read = {name for equation in cell.equations for name in equation.reads}
    for equation in cell.equations:
        for target in equation.targets:
            if equation.total and target in read:
                hint = "a total is known only when the sequence has ended"
                _fail(cell, "total", f"{target} is a total and cannot be read", equation, hint)
            if not (equation.total or target.endswith("'") or target in cell.outputs or target in read):
                near = _similar(target, cell.parameters)
                looks = f"; {near}, a parameter, looks like it" if near else ""
                hint = f"read {target} where {near} stands, or remove it" if near else "read it, or remove it"
                _fail(cell, "unused", f"{target} is computed but never read{looks}", equation, hint)
    for declared in (*cell.inputs, *cell.lets):
        if declared.name not in read and declared.name not in cell.defined:
            near = _similar(declared.name, cell.parameters)
            looks = f"; {near}, a parameter, looks like it" if near else ""
            what = f"{declared.name} has a let but" if declared in cell.lets else f"the input {declared.name}"
            hint = f"read {declared.name} where {near} stands, or remove it" if near else "read it, or remove it"
            _fail(cell, "unused", f"{what} is never read{looks}", declared, hint)


def forbid_cycles(cell: Cell) -> None:
    """The equations can be put in an order in which they can be computed."""
    sort_equations(cell)


def forbid_bad_calls(cell: Cell) -> None:
    """A call has the arguments its function takes (text is checked by the parser; this is for cells made in code)."""
    for equation in cell.equations:
        for node in walk(equation.expression):
            if not isinstance(node, Call):
                continue
            function = FUNCTIONS.get(node.function)
            if function is None:
                known = ", ".join(FUNCTIONS)
                _fail(cell, "function", f"{safe(node.function)} is no known function", equation, f"these are: {known}")
            numbers = node.operands[function.tensors :]
            whole = len(node.operands) == function.tensors + function.numbers
            if not whole or not all(isinstance(n, Number) for n in numbers):
                hint = f"{node.function}: {function.meaning}"
                _fail(cell, "arguments", f"{node} has not the arguments of {node.function}", equation, hint)


def sort_equations(cell: Cell) -> tuple[Equation, ...]:
    """The equations so that each stands after those it reads, otherwise as written.

    Raises CellError `cycle` with the circle of names.
    """
    placed: dict[int, Equation] = {}
    path: list[Equation] = []

    def place(start: Equation) -> None:
        stack = [(start, iter(start.reads))]
        path.append(start)
        while stack:
            equation, reads = stack[-1]
            defining = (cell.defined[r] for r in reads if r in cell.defined)
            needed = next((e for e in defining if id(e) not in placed), None)
            if needed is None:
                placed[id(equation)] = equation
                stack.pop()
                path.pop()
            elif any(needed is p for p in path):
                _fail_cycle(cell, path[next(i for i, p in enumerate(path) if p is needed) :])
            else:
                path.append(needed)
                stack.append((needed, iter(needed.reads)))

    for equation in cell.equations:
        if id(equation) not in placed:
            place(equation)
    return tuple(placed.values())


def _fail_cycle(cell: Cell, circle: list[Equation]) -> None:
    chain = " → ".join([e.left for e in circle] + [circle[0].left])
    states = [d.name for d in cell.states if any(d.name + "'" in e.targets for e in circle)]
    alone = len(circle) == 1
    before = f"read {states[0]}, the value before the step" if states else ""
    hint = before + ("" if alone else ", in one of them") if before else "take one of the names out of its equation"
    message = f"{circle[0].left} reads itself" if alone else "these read each other in a circle"
    _fail(cell, "cycle", f"{message}: {chain}", circle[0], hint)


LAWS = (
    forbid_empty,
    forbid_odd_names,
    forbid_odd_sizes,
    forbid_loose_primes,
    forbid_twice,
    forbid_letter_clash,
    forbid_lone_numbers,
    forbid_bad_calls,
    require_updates,
    require_outputs,
    forbid_unread,
    forbid_cycles,
)
