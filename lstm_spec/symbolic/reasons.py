"""What dimension inference found wrong → an error with the chain of reasons.

Comes in: the state of a `Unifier` and the claim that failed. Goes out: a `CellError` that says which sizes met, where,
and from which declaration each of them comes. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sympy import Symbol

from lstm_spec.errors import CellError, Finding
from lstm_spec.symbolic.algebra import (
    Call,
    Elementwise,
    Join,
    Multiply,
    Name,
    Node,
    Number,
    Product,
    Transpose,
    walk,
)
from lstm_spec.symbolic.cell import Declaration, Equation
from lstm_spec.symbolic.printing import shape_text, size_text

if TYPE_CHECKING:
    from lstm_spec.symbolic.shapes import Axis, Claim, Shape, Unifier


def explain_claim(unifier: Unifier, claim: Claim) -> CellError:
    """The error `dimension`: two sizes are not one."""
    node, equation = claim.node, claim.equation
    sides: tuple[tuple[Node, Axis], ...]
    place = node
    if claim.kind == "operands":
        one, other = _compared(unifier, node, equation)
        verb = node.verb if isinstance(node, Elementwise) else f"takes {_function(node)} of"
        sizes = _measure(unifier, one, equation), _measure(unifier, other, equation)
        message = f"{equation.left} {verb} {one}, which {_both(*sizes)[0]}, and {other}, which {_both(*sizes)[1]}"
        sides, place = ((one, claim.axis), (other, claim.axis)), other
    elif claim.kind == "product":
        left, right = node.operands
        columns, rows = _size(unifier, claim.one), _size(unifier, claim.other)
        message = f"{left} has {columns} columns, and {right} has {rows} rows: {node} is no product"
        sides = ((left, "columns"), (right, "rows"))
    elif claim.kind == "join":
        message = f"{node} {_measure(unifier, node, equation)} and cannot be joined: only vectors can"
        sides = ((node, claim.axis),)
    else:
        targets = tuple(Name(t) for t in equation.targets)
        left_side = (
            f"has {_size(unifier, claim.one)} rows" if len(targets) > 1 else _measure(unifier, targets[0], equation)
        )
        sizes = _both(left_side, _measure(unifier, node, equation))
        message = f"{equation.left} {sizes[0]}, and {node} {sizes[1]}"
        sides = (*((t, claim.axis) for t in targets), (node, claim.axis))
    told = dict.fromkeys(reason for side, axis in sides for reason in _reasons(unifier, side, axis, equation))
    because = (";  " if len(told) < 3 else "\n").join(told)
    return _error(unifier, "dimension", message, place, equation, because=because)


def explain_vector(unifier: Unifier, node: Product, equation: Equation) -> CellError:
    """The error `product`: a vector stands where a matrix must."""
    message = f"{node.left} is a vector; only a matrix can stand left in a product"
    help = f"for the elementwise product write {Multiply(node.left, node.right)}"
    return _error(unifier, "product", message, node, equation, help=help)


def explain_number(unifier: Unifier, number: Node, node: Node, equation: Equation) -> CellError:
    """The error `number`: a number stands in a matrix product or in a join, where a tensor must."""
    if isinstance(node, Product):
        help = f"side by side is the matrix product; write {Multiply(node.left, node.right)}"
        return _error(unifier, "number", f"{number} stands in a matrix product", node, equation, help=help)
    help = "[ ] joins vectors; there is no index, and sizes are declared above the equations"
    return _error(unifier, "number", f"{number} is a number and cannot be joined", node, equation, help=help)


def explain_open(unifier: Unifier, shapes: Mapping[str, Shape]) -> CellError:
    """The error `undetermined`: a size follows from nothing."""
    cell = unifier.cell
    names = [name for name, shape in shapes.items() if unifier.is_open(shape)]
    # An equation, else a vector: stating it settles the matrices that it meets.
    name = min(names, key=lambda n: (cell.roles[n] != "gate", shapes[n].is_matrix))
    shape = shapes[name]
    which = "rows" if unifier.unknowns(shape.rows) else "columns"
    fresh = iter([cell.letters[-1] if cell.letters else "k", "j"])
    sizes = (next(fresh) if unifier.unknowns(s) else size_text(s, cell.letters) for s in shape.size)
    equation = next((e for e in cell.equations if name in e.targets or name in e.reads), None)
    return CellError(
        Finding(
            "undetermined",
            f"nothing says how many {which} {name} has",
            at=cell.at(equation),
            help=f"state it above the equations, e.g. let {name}[{', '.join(sizes)}]",
        )
    )


def _error(
    unifier: Unifier, code: str, message: str, node: Node, equation: Equation, because: str = "", help: str = ""
) -> CellError:
    place = unifier.cell.at(equation, node.span or equation.span)
    return CellError(Finding(code, message, at=place, because=because, help=help))


# ---- sizes in words ----


def _compared(unifier: Unifier, node: Node, equation: Equation) -> tuple[Node, Node]:
    """The two operands that were compared; numbers spread and are not."""
    from lstm_spec.symbolic.shapes import SPREAD

    one, other = (o for o in node.operands if unifier.visit(o, equation).rows is not SPREAD)
    return one, other


def _function(node: Node) -> str:
    return node.function if isinstance(node, Call) else ""


def _measure(unifier: Unifier, node: Node, equation: Equation) -> str:
    """`has k rows` for a vector, `is k×n` for a matrix."""
    shape = unifier.known(unifier.visit(node, equation))
    return f"is {_shape(unifier, shape)}" if shape.is_matrix else f"has {_shape(unifier, shape)} rows"


def _both(one: str, other: str) -> tuple[str, str]:
    """`has k rows`, `has n rows` → the second without its `rows`."""
    alike = one.startswith("has") and other.startswith("has")
    return one, other.removesuffix(" rows") if alike else other


def _size(unifier: Unifier, size: Any) -> str:
    return size_text(_told(unifier, size), unifier.cell.letters)


def _shape(unifier: Unifier, shape: Shape) -> str:
    return shape_text([_told(unifier, size) for size in shape.size], unifier.cell.letters)


def _told(unifier: Unifier, size: Any) -> Any:
    """A size with its unknowns as `rows(p)`, or `?` alone."""
    size = unifier.now(size)
    if size in unifier.origin:
        return Symbol("?")
    return size.xreplace({u: Symbol(f"{_axis_of(unifier, u)}({unifier.origin[u][1]})") for u in unifier.unknowns(size)})


def _axis_of(unifier: Unifier, unknown: Any) -> Axis:
    return "rows" if unifier.shapes[unifier.origin[unknown][1]].rows == unknown else "columns"


# ---- where a size comes from ----


def _reasons(unifier: Unifier, node: Node, axis: Axis, equation: Equation) -> Iterator[str]:
    """`g is n (line 7: it adds x[n])`, for the name in a node that is nearest to a declaration; each part of a join."""
    if isinstance(node, Join):
        for part in node.operands:
            yield from _reasons(unifier, part, axis, equation)
        return
    told = [(_declaration(unifier, n.name), *_trace(unifier, n.name, a, equation)) for n, a in _sources(node, axis)]
    # Of the names that were inferred, the one with the shortest chain says the most; declared ones say it themselves.
    inferred = [t for t in told if t[0] is None] or told
    if inferred:
        yield min(inferred, key=lambda t: t[1])[2]


def _declaration(unifier: Unifier, name: str) -> Declaration | None:
    base = name[:-1] if unifier.cell.roles.get(name) == "next" else name
    return next((d for d in unifier.cell.declarations if d.name == base), None)


def _trace(unifier: Unifier, name: str, axis: Axis, equation: Equation) -> tuple[int, str]:
    """How long the chain of reasons is for a name's size, and its end in words."""
    shape = unifier.shape(name)
    axis = axis if shape.is_matrix else "rows"
    size = getattr(shape, axis)
    told = f"{name} has {_size(unifier, size)} {axis}" if shape.is_matrix else f"{name} is {_size(unifier, size)}"
    declared = _declaration(unifier, name)
    if declared is not None:
        return 0, f"{told} (from {_declared(unifier, declared)})"
    chain = list(_chain(unifier, getattr(unifier.shapes[name], axis)))
    if not chain:
        return 0, f"nothing says how many {axis} {name} has"
    return len(chain), f"{told} ({_root(unifier, name, chain[-1], size, equation)})"


def _chain(unifier: Unifier, size: Any) -> Iterator[Claim]:
    """The claims that led to a size, from the nearest to the one that met a declaration."""
    seen: set[Any] = set()
    ahead = unifier.unknowns(size)
    while unknown := next((u for u in ahead if u in unifier.bindings and u not in seen), None):
        seen.add(unknown)
        binding = unifier.bindings[unknown]
        yield binding.claim
        ahead = [*binding.premises, *unifier.unknowns(binding.size)]


def _root(unifier: Unifier, name: str, claim: Claim, size: Any, equation: Equation) -> str:
    """The end of a chain: `from the state c[k]` in the same equation, else the line and what stands there."""
    mentioned = [*(Name(t) for t in claim.equation.targets if claim.kind == "target"), *walk(claim.node)]
    declared = (_declaration(unifier, n.name) for n in mentioned if isinstance(n, Name))
    source = next((d for d in declared if d is not None and size in d.size), None)
    if source is not None and claim.equation is equation:
        return f"from {_declared(unifier, source)}"
    line = f"line {claim.equation.span.line}: " if claim.equation.span else ""
    node = claim.node
    direct = [o.name for o in node.operands if isinstance(o, Name)]
    if (
        source is not None
        and isinstance(node, Elementwise)
        and source.name in direct
        and name in claim.equation.targets
    ):
        return f"{line}it {node.verb} {source}"
    return f"{line}{claim.equation if claim.kind == 'target' else node}"


def _declared(unifier: Unifier, declared: Declaration) -> str:
    role = unifier.cell.roles[declared.name]
    return f"the {role} {declared}" if role in ("input", "state") else f"let {declared}"


def _sources(node: Node, axis: Axis) -> Iterator[tuple[Name, Axis]]:
    """The names that give a node its rows or columns, each with the axis of its own that does."""
    if isinstance(node, Name):
        yield node, axis
    elif isinstance(node, Transpose):
        yield from _sources(node.operand, "columns" if axis == "rows" else "rows")
    elif isinstance(node, Product):
        yield from _sources(node.left if axis == "rows" else node.right, axis)
    elif not isinstance(node, Number | Join) or axis == "rows":
        for operand in node.operands:
            yield from _sources(operand, axis)
