"""Jacobians → text and LaTeX with what they say over time, a table for the terminal, a picture.

What is said of a cell is read from its blocks: whether a state reaches itself without a weight matrix, and the proven
range of what it is multiplied by. Nothing is known of any cell by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lstm_spec.compiler.jacobians import Jacobians
from lstm_spec.compiler.products import Summary
from lstm_spec.errors import Finding, OptionError, safe
from lstm_spec.phrases import counted, listed
from lstm_spec.render.curves import Chart, Line, draw_charts
from lstm_spec.render.mathematics import symbol
from lstm_spec.render.tables import Table
from lstm_spec.symbolic.algebra import Call, Name, Node, Number, Subtract, names
from lstm_spec.symbolic.block_text import explain_factors, partial, sum_latex, sum_text
from lstm_spec.symbolic.blocks import Jacobian
from lstm_spec.symbolic.bounds import bound_cell
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.matrix_sums import Factor, Sum, Term
from lstm_spec.symbolic.printing import text

Array = np.ndarray[Any, Any]

# ---- what is derived ----


def tell_jacobian(found: Jacobian) -> Iterator[str]:
    """Every block; what its signs mean; what each state's own path is over time."""
    yield str(found)
    yield "\n".join(["diag(v) has v on its diagonal, I is the identity", *explain_factors(found)])
    yield "\n\n".join("\n".join(_tell_path(found, s.name)) for s in found.cell.states)


def _tell_path(found: Jacobian, state: str) -> Iterator[str]:
    others = [s.name for s in found.cell.states if s.name != state]
    held = f", with {listed(others)} held" if others else ""
    terms = found[state + "'", state]
    if not terms:
        yield f"{state}{held}: d{state}[T]/d{state}[0] = 0"
        yield f"  {state}' does not read {state}: nothing of it is left after one step on this path"
        return
    single = sum_text(tuple(_timed_term(found.cell, term) for term in terms))
    factor = single if len(terms) == 1 else f"d{state}[t]/d{state}[t-1]"
    yield f"{state}{held}: d{state}[T]/d{state}[0] = product over t = T, ..., 1 of {factor}"
    yield from (f"  {line}" for line in REASONS[found.paths[state]](found, state, terms))


def _timed_term(cell: Cell, term: Term) -> Term:
    return Term(tuple(_timed(cell, factor) for factor in term.factors), term.minus)


def _timed(cell: Cell, factor: Factor) -> Factor:
    """`f[t]`, `c[t-1]`; a parameter has no time."""
    parts = tuple(tuple(_timed_term(cell, term) for term in part) for part in factor.parts)
    node = factor.node
    if node is not None:
        node = node.xreplace({name: Name(_timed_name(cell, name.name)) for name in names(node)})
    return Factor(factor.kind, node, factor.names, parts)


def _timed_name(cell: Cell, name: str) -> str:
    role = cell.roles[name]
    return name if role == "parameter" else f"{name}[t-1]" if role == "state" else name.removesuffix("'") + "[t]"


def _tell_diagonal(found: Jacobian, state: str, terms: Sum) -> Iterator[str]:
    yield "no weight matrix is multiplied: every unit keeps its own share, whatever the others do"
    factor = terms[0].factors[0].node if terms[0].factors else Number(1)
    assert factor is not None
    yield from _tell_factor(found, factor)


def _tell_factor(found: Jacobian, factor: Node) -> Iterator[str]:
    if isinstance(factor, Number):
        yield f"the share is {text(factor)}: what is stored stays" if factor.value == 1 else ""
        return
    real = _range(found, factor)
    if real is None:
        yield f"it stays while {text(factor)} is near 1, and fades or grows as that is below or above"
        return
    low, high = real
    if low >= 0 and high <= 1:
        yield f"{text(factor)} is between 0 and 1: it never grows, and remembers while {text(factor)} is near 1"
    else:
        yield f"{text(factor)} is between {low} and {high}"


def _range(found: Jacobian, factor: Node) -> tuple[float, float] | None:
    """The proven range of a gate, or of 1 − a gate."""
    if isinstance(factor, Name) and factor.name in found.cell.defined:
        real = bound_cell(found.cell)[factor.name.removesuffix("'")].real
        low, high = float(real.low), float(real.high)
        return (low, high) if np.isfinite(low) and np.isfinite(high) else None
    if isinstance(factor, Call) and factor.function in ("sigmoid", "hard_sigmoid"):
        return 0.0, 1.0
    if isinstance(factor, Subtract) and isinstance(factor.left, Number):
        inner = _range(found, factor.right)
        return None if inner is None else (float(factor.left.value) - inner[1], float(factor.left.value) - inner[0])
    return None


def _matrices(found: Jacobian, terms: Sum) -> str:
    """The weight matrices that a sum multiplies by, those of the blocks that it reads included."""
    return ", ".join(dict.fromkeys(_matrices_of(found, terms)))


def _matrices_of(found: Jacobian, terms: Sum) -> Iterator[str]:
    for term in terms:
        for factor in term.factors:
            if factor.kind == "matrix" and factor.node is not None:
                yield text(factor.node)
            inner = (found[factor.names[0], factor.names[1]],) if factor.kind == "block" else factor.parts
            for part in inner:
                yield from _matrices_of(found, part)


def _tell_matrices(found: Jacobian, state: str, terms: Sum) -> Iterator[str]:
    through = _matrices(found, terms)
    if not through:
        yield "it mixes its units: over many steps it fades where the norm stays below 1, and can explode above"
        return
    yield f"every step multiplies by weight matrices ({through}), and nothing on this path leads around them:"
    yield "over many steps it fades where the norm stays below 1, and can explode where it stays above"


def _tell_both(found: Jacobian, state: str, terms: Sum) -> Iterator[str]:
    direct = next(term for term in terms if term.is_diagonal)
    factor = direct.factors[0].node if direct.factors else Number(1)
    assert factor is not None
    yield f"one part is diagonal, diag({text(factor)}), and multiplies by no weight matrix: that part keeps"
    yield from _tell_factor(found, factor)
    yield f"the rest goes through {_matrices(found, terms) or 'what mixes the units'}"


REASONS = {"diagonal": _tell_diagonal, "matrices": _tell_matrices, "both": _tell_both}


def jacobian_latex(found: Jacobian) -> str:
    r"""Every block as an equation, in one `aligned` environment.

    >>> from lstm_spec.symbolic.blocks import derive_jacobian
    >>> from lstm_spec.symbolic.language import parse
    >>> print(jacobian_latex(derive_jacobian(parse("input x[n]\nstate h[k]\nh' = tanh(W x + U h)"))))
    \begin{aligned}
    \frac{\partial h_{t}}{\partial h_{t-1}} &= \operatorname{diag}\left(1 - h_{t} \odot h_{t}\right)\, U
    \end{aligned}
    """

    def written(name: str) -> str:
        return symbol(found.cell, name)

    lines = (f"{partial(*map(written, key))} &= {sum_latex(terms, written)}" for key, terms in found.blocks.items())
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


# ---- what is computed ----

DEFINED = """\
norm, radius: of ds[t]/ds[t-1], the largest singular value and the largest |eigenvalue|
through: the norm of ds[T]/ds[0], the product of all steps, whatever way; a step: its T-th root
along: the same product of ds[t]/ds[t-1] alone, with the other states held
kept: the product of what the equation of s keeps of it, of the unit that keeps most"""


def list_jacobians(found: Jacobians) -> Table:
    """A row a state; a group a cell."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    alone = len(found.layer.members) == 1
    for name, growth in found.growth.items():
        prefix, _, own = name.rpartition(".")
        row = growth.summarize(name, found.alive)
        groups.setdefault(prefix, []).append(_row(own if alone else name, row))
    headings = ("", "norm min", "mean", "max", "radius", "through", "a step", "along", "kept")
    return Table(headings, tuple(map(tuple, groups.values())))


def _row(name: str, row: Summary) -> tuple[str, ...]:
    numbers = (row.lowest, row.mean, row.highest, row.radius)
    kept = "-" if row.kept is None else power_text(row.kept)
    shown = (power_text(row.through), f"{row.a_step:.3g}", power_text(row.along), kept)
    return (name, *(f"{value:.3g}" for value in numbers), *shown)


def power_text(log: float) -> str:
    """A number by its log10, however small.

    >>> power_text(-1.0), power_text(-400.5), power_text(float("-inf"))
    ('0.1', '3.16e-401', '0')
    """
    if not np.isfinite(log):
        return "0" if log < 0 else f"{log:g}"
    if abs(log) < 300:
        return f"{10.0**log:.3g}"
    whole = int(np.floor(log))
    return f"{10.0 ** (log - whole):.3g}e{whole:+d}"


def draw_jacobians(found: Jacobians, sample: int = 0, member: str | None = None) -> str:
    """One sample's norms in one cell over time, as SVG. Raises OptionError for a sample or a cell that is not there."""
    steps, samples = found.alive.shape
    if not 0 <= sample < samples:
        expected = f"0 to {samples - 1}" if samples else "none"
        raise OptionError(Finding("sample", f"there is no sample {sample}", expected=expected))
    prefixes = [m.prefix for m in found.layer.members]
    chosen = prefixes[0] if member is None else member
    if chosen not in prefixes:
        raise OptionError(Finding("member", f"there is no cell {safe(chosen, 40)}", expected=", ".join(prefixes)))
    reverse = chosen.endswith(".reverse")
    of = f", sample {sample} of {samples}, counted from 0" if samples > 1 else ""
    about = f"{counted(steps, 'step')}{of}; scales in powers of ten"
    way = "; it reads from the last step to the first" if reverse else ""
    return draw_charts(f"What a step of {chosen} does to its states", about + way, _charts(found, chosen, sample))


def _charts(found: Jacobians, member: str, sample: int) -> list[Chart]:
    """What one step does, of every state; then, for each state, the products from each step to the last."""
    own = {name.rpartition(".")[2]: g for name, g in found.growth.items() if name.rpartition(".")[0] == member}
    there = found.alive[:, sample]

    def logs(values: np.ndarray) -> Array:
        return np.where(there, values[:, sample], np.nan)

    first, last = ("t+1", "1") if any(g.reverse for g in own.values()) else ("t-1", "T")
    with np.errstate(all="ignore"):
        one = tuple(Line(f"|d{s}[t]/d{s}[{first}]|", logs(np.log10(g.norm))) for s, g in own.items())
    charts = [Chart("One step", one)]
    for s, g in own.items():
        paths = [Line("whatever way", logs(g.through)), Line(f"along {s} alone", logs(g.along))]
        paths += [] if g.kept is None else [Line(f"kept of {s}", logs(g.kept))]
        charts.append(Chart(f"From step t to the last: |d{s}[{last}]/d{s}[{first}]|", tuple(paths)))
    return charts
