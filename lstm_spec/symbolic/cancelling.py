"""How much the terms of a state's equation come to before anything cancels: what their rounding is relative to.

`1001 * c - 1000 * c` keeps c once, but each product is rounded by u of a thousand c. Knows no rules of growth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sympy import Integer, ceiling, oo

from lstm_spec.symbolic.algebra import Add, Divide, Multiply, Name, Negate, Node, Subtract

Weight = tuple[Any, Any]  # how much of the state, how much else
MIX = 2  # the terms of a * c + (1 - a) * m, each at its largest


def weigh_terms(
    node: Node, reads: Callable[[Node], bool], written: Callable[[Node], Node], ranged: Callable[[Node], Any]
) -> Weight:
    """The size of all terms with the state, and of all others, none cancelled against another.

    `reads` says whether a node has the state in it, `written` writes a gate out, `ranged` is the range of a node.
    """
    if not reads(node):
        return Integer(0), ranged(node).magnitude
    node = written(node)
    if isinstance(node, Negate):
        return weigh_terms(node.operand, reads, written, ranged)
    if isinstance(node, Name):
        return Integer(1), Integer(0)
    if not isinstance(node, Add | Subtract | Multiply | Divide):
        return Integer(0), ranged(node).magnitude
    kept, added = weigh_terms(node.left, reads, written, ranged)
    if isinstance(node, Divide):
        share = ranged(node.right).reciprocal().magnitude
        return kept * share, added * share
    other, rest = weigh_terms(node.right, reads, written, ranged)
    if isinstance(node, Multiply):
        return kept * rest + added * other, added * rest
    return kept + other, added + rest


def count_cancelled(weight: Weight, kept: Any, added: Any, mixed: Any | None) -> int | None:
    """How many times as much the terms are as what is left of them, at least once; None where nothing is left.

    For a mix with `mixed` at most, all terms together are held against the two of a mix.
    """
    if oo in weight:
        return None if oo not in (kept, added, mixed) else 1  # nothing is bounded anyway
    if mixed is not None:
        whole = weight[0] + (weight[1] / mixed if mixed else 0 if weight[1] == 0 else oo)
        return None if whole == oo else 1 if whole <= MIX else int(ceiling(whole))
    if any(left == 0 and terms != 0 for terms, left in zip(weight, (kept, added), strict=True)):
        return None
    return max(1, *(int(ceiling(terms / left)) for terms, left in zip(weight, (kept, added), strict=True) if left))
