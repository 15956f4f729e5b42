"""What the way back found → text and a table."""

from __future__ import annotations

from lstm_spec.layers.question import Choice, Solution
from lstm_spec.render.tables import Row, Table


def list_solution(solution: Solution) -> Table:
    """The sizes with their counts and what is left of each budget; one unknown stands between its neighbours."""
    headings = [*solution.unknowns]
    for name in solution.budgets:
        headings += [name, "left"]
    if len(solution.unknowns) == 2:
        return Table(tuple(headings), (tuple(_row(choice) for choice in solution.choices),))
    around = ((solution.below, "below"), (solution.choices[0], "solution"), (solution.above, "above"))
    rows = tuple((words, *_row(choice)) for choice, words in around if choice is not None)
    return Table(("", *headings), (rows,))


def _row(choice: Choice) -> Row:
    cells = [f"{size}" for size in choice.sizes.values()]
    for name, count in choice.counts.items():
        cells += [f"{count:,}", f"{choice.residuals[name]:,}"]
    return tuple(cells)


def explain_solution(solution: Solution) -> str:
    """The closed form with P, what P is, and the rule."""
    lines = []
    if solution.root:
        lines.append(f"{solution.root.text} = {solution.root.decimal}")
    budgets = ", ".join(f"{name} {value:,}" for name, value in solution.budgets.items())
    lines.append(f"{'P is ' if solution.root else 'within '}{budgets}; {solution.rule}")
    return "\n".join(lines)
