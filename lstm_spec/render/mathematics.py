r"""A cell → LaTeX, with time indices: the state h is `h_{t-1}`, h' is `h_{t}`, a gate f is `f_{t}`, W_f stays `W_{f}`.

The equations stand in the written order. Nothing is simplified.
"""

from __future__ import annotations

from collections.abc import Iterator

from lstm_spec.symbolic.cell import Cell, Declaration, Equation
from lstm_spec.symbolic.printing import latex, size_text

GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi"
    " omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
TIMELESS = ("parameter", "total")


def aligned(cell: Cell) -> str:
    r"""The declarations and the equations as one `aligned` environment.

    >>> from lstm_spec.symbolic.language import parse
    >>> print(aligned(parse("input x[n]\nstate h[k]\nh' = tanh(W x + U h + b)")))
    \begin{aligned}
    x_{t} &\in \mathbb{R}^{n} \\
    h_{t} &\in \mathbb{R}^{k} \\
    h_{t} &= \tanh\left(W\, x_{t} + U\, h_{t-1} + b\right)
    \end{aligned}
    """
    lines = " \\\\\n".join([*_declarations(cell), *(_equation(cell, e) for e in cell.equations)])
    return f"\\begin{{aligned}}\n{lines}\n\\end{{aligned}}"


def document(cell: Cell) -> str:
    """The cell for a Markdown page: its description, then the equations as displayed mathematics."""
    return "\n\n".join(filter(None, [cell.description, f"$$\n{aligned(cell)}\n$$"]))


def symbol(cell: Cell, name: str) -> str:
    r"""A name of the cell as mathematics, with its time index.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> [symbol(lstm_cell(), name) for name in ("W_f", "x", "f", "c", "c'")]
    ['W_{f}', 'x_{t}', 'f_{t}', 'c_{t-1}', 'c_{t}']
    """
    head, *rest = [_letters(part) for part in name.rstrip("'").split("_") if part] or [r"\_"]
    subscript = ",".join(filter(None, [_nested(rest), _time(cell, name)]))
    return f"{head}_{{{subscript}}}" if subscript else head


def _time(cell: Cell, name: str) -> str:
    """A state, or a saved value beside its primed self, is the one before the step; parameters have no time."""
    role = cell.roles[name]
    if role in TIMELESS:
        return ""
    return "t-1" if role == "state" or name + "'" in cell.roles else "t"


def _letters(part: str) -> str:
    r"""`alpha` is `\alpha`, `proj` is upright, `f` is f."""
    return rf"\{part}" if part in GREEK else rf"\mathrm{{{part}}}" if len(part) > 1 else part


def _nested(parts: list[str]) -> str:
    """`W` and `f` are `W_{f}`."""
    return "_{".join(parts) + "}" * (len(parts) - 1)


def _declarations(cell: Cell) -> Iterator[str]:
    for declared in cell.declarations:
        name = declared.name + "'" if cell.roles[declared.name] == "state" else declared.name  # of every t
        yield rf"{symbol(cell, name)} &\in \mathbb{{R}}^{{{_size(cell, declared)}}}"


def _size(cell: Cell, declared: Declaration) -> str:
    sums = (size_text(size, cell.letters).split(" ") for size in declared.size)
    sizes = [
        " ".join(_letters(word) if word.isalpha() else word.replace("_", r"\_") for word in words) for words in sums
    ]
    return r" \times ".join(f"({size})" if " " in size and len(sizes) > 1 else size for size in sizes)


def _equation(cell: Cell, equation: Equation) -> str:
    def written(name: str) -> str:
        return symbol(cell, name)

    left = ", ".join(map(written, equation.targets))
    left = rf"\left[{left}\right]" if len(equation.targets) > 1 else left
    sign = r"\mathrel{+}=" if equation.total else "="
    return f"{left} &{sign} {latex(equation.expression, written)}"
