r"""A backward pass → text and LaTeX, one step of it or over time.

In LaTeX `\bar{c}_t` is the whole gradient of c at t (`e_c`), `\delta f_t` that of what stands inside f's function
(`d_f`), and `\overleftarrow{c}_t` what arrives at c from the step after t (`d_c`). Over time the sums are written out:
the gradient of a parameter is one over all steps, of one sample; a batch adds up its samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lstm_spec.layers.cost import number_text
from lstm_spec.render.mathematics import symbol
from lstm_spec.render.tables import Table
from lstm_spec.symbolic.algebra import Add, Name, Node, names
from lstm_spec.symbolic.cell import Cell, Equation
from lstm_spec.symbolic.gradient import BackwardPass
from lstm_spec.symbolic.operations import KINDS, total_operations
from lstm_spec.symbolic.printing import latex, text


def gradient_text(derived: BackwardPass, over_time: bool = False) -> str:
    """The backward cell in the equation language, or with an index [t] on all that changes with time.

    >>> from lstm_spec.symbolic.gradient import derive_backward
    >>> from lstm_spec.symbolic.language import parse
    >>> print(gradient_text(derive_backward(parse("input x[n]\\nstate h[k]\\nh' = tanh(W x + U h)")), over_time=True))
    # one sample; d_h[T] is the gradient of the state after the last step, d_h[0] that of the first state
    for t = T, ..., 1
      e_h[t]   = d_h[t] + d_y[t]
      d_h1[t]  = e_h[t] * (1 - h[t] * h[t])
      d_x[t]   = W^T d_h1[t]
      d_h[t-1] = U^T d_h1[t]
    d_W = sum_t d_h1[t] x[t]^T
    d_U = sum_t d_h1[t] h[t-1]^T
    """
    if not over_time:
        return str(derived.backward)
    timed = {name: Name(_timed(derived, name)) for name in derived.backward.roles}
    return "\n".join(_lines(derived, timed))


def _lines(derived: BackwardPass, timed: Mapping[str, Name]) -> Iterator[str]:
    def written(node: Node) -> str:
        return text(node.xreplace({name: timed[name.name] for name in names(node)}))

    steps = [e for e in derived.backward.equations if not e.total]
    lefts = [e.left if len(e.targets) == 1 and not timed else _left(e, timed) for e in steps]
    if derived.names.states:
        of = list(derived.names.states.values())
        plural = ("are the gradients of the states", "those of the first states")
        what = plural if len(of) > 1 else ("is the gradient of the state", "that of the first state")
        last, first = (", ".join(f"{d}[{t}]" for d in of) for t in ("T", "0"))
        yield f"# one sample; {last} {what[0]} after the last step, {first} {what[1]}"
    width = max(map(len, lefts))
    yield "for t = T, ..., 1"
    yield from (f"  {left:<{width}} = {written(e.expression)}" for left, e in zip(lefts, steps, strict=True))
    totals = [e for e in derived.backward.equations if e.total]
    width = max((len(e.left) for e in totals), default=0)
    for e in totals:
        term = written(e.expression)
        yield f"{e.left:<{width}} = sum_t {f'({term})' if _is_sum(e.expression) else term}"


def _left(equation: Equation, timed: Mapping[str, Name]) -> str:
    shown = [timed[target].name for target in equation.targets]
    return f"[{', '.join(shown)}]" if len(shown) > 1 else shown[0]


def _is_sum(node: Node) -> bool:
    return isinstance(node, Add) or type(node).__name__ == "Subtract"


def _timed(derived: BackwardPass, name: str) -> str:
    """`c[t-1]`, `c[t]` for c', `d_c[t-1]` for d_c'; a parameter and a total have no time."""
    role = derived.backward.roles[name]
    if role in ("parameter", "total"):
        return name
    base = name.removesuffix("'")
    was_state = any(s.name == name for s in derived.forward.states)
    is_before = was_state or role == "next"
    return f"{base}[{'t-1' if is_before else 't'}]"


def gradient_latex(derived: BackwardPass, over_time: bool = False) -> str:
    r"""The equations as one `aligned` environment; over time the totals are sums over t.

    >>> from lstm_spec.symbolic.gradient import derive_backward
    >>> from lstm_spec.symbolic.language import parse
    >>> print(gradient_latex(derive_backward(parse("input x[n]\nstate h[k]\nh' = tanh(W x + U h)"))))
    \begin{aligned}
    \bar{h}_{t} &= \overleftarrow{h}_{t} + \delta y_{t} \\
    \delta h^{(1)}_{t} &= \bar{h}_{t} \odot \left(1 - h_{t} \odot h_{t}\right) \\
    \delta W &\mathrel{+}= \delta h^{(1)}_{t}\, {x_{t}}^{\top} \\
    \delta U &\mathrel{+}= \delta h^{(1)}_{t}\, {h_{t-1}}^{\top} \\
    \delta x_{t} &= {W}^{\top}\, \delta h^{(1)}_{t} \\
    \overleftarrow{h}_{t-1} &= {U}^{\top}\, \delta h^{(1)}_{t}
    \end{aligned}
    """
    sign = _signs(derived)
    backward = derived.backward
    steps = backward.equations
    if over_time:
        steps = tuple(e for e in steps if not e.total) + tuple(e for e in steps if e.total)
    lines = " \\\\\n".join(_equation(derived, e, sign, over_time) for e in steps)
    return f"\\begin{{aligned}}\n{lines}\n\\end{{aligned}}"


def _equation(derived: BackwardPass, equation: Equation, sign: Callable[[str], str], over_time: bool) -> str:
    right = latex(equation.expression, sign)
    if equation.total and over_time:
        (own,) = (p for p, d in derived.names.parameters.items() if d == equation.left)
        term = rf"\left({right}\right)" if _is_sum(equation.expression) else right
        of = symbol(derived.forward, own)
        return rf"\frac{{\partial L}}{{\partial {of}}} &= \sum_{{t=1}}^{{T}} {term}"
    left = ", ".join(map(sign, equation.targets))
    left = rf"\left[{left}\right]" if len(equation.targets) > 1 else left
    equals = r"\mathrel{+}=" if equation.total else "="
    return f"{left} &{equals} {right}"


def _signs(derived: BackwardPass) -> Callable[[str], str]:
    """How each name of the backward cell is written."""
    forward, backward = derived.forward, derived.backward
    known = derived.names
    states = {d: own for own, d in known.states.items()}
    others = {d: own for role in (known.parameters, known.inputs) for own, d in role.items()}
    prefix = next(iter(known.taken)).partition("_")[0] + "_"
    of = {
        d: "" if len(known.outputs) == 1 else f"{symbol(forward, o).partition('_')[0]},"
        for o, d in known.outputs.items()
    }

    def sign(name: str) -> str:
        base = name.removesuffix("'")
        if base in states:  # from the step after, or on to the one before
            own = symbol(forward, states[base] + "'")
            marked = _marked(own, r"\overleftarrow")
            return marked.replace("{t}", "{t-1}").replace(",t}", ",t-1}") if name != base else marked
        if name in forward.roles:
            return symbol(forward, name)
        if name in others:
            return rf"\delta {symbol(forward, others[name])}"
        if name in known.outputs.values():
            return rf"\delta y_{{{of[name]}t}}"
        return _intermediate(forward, backward, name, prefix)

    return sign


def _intermediate(forward: Cell, backward: Cell, name: str, prefix: str) -> str:
    """`e_c`, `d_f`, `d_f1`; a value that is computed again keeps its name."""
    stem = name.removeprefix(prefix)
    marks = r"\delta "
    if stem == name:
        stem = name.lstrip("e").removeprefix("_") if name.startswith("e") and "_" in name[:3] else name
        marks = r"\bar" if stem != name else ""
    own, number = _numbered(forward, stem)
    if own is None:
        return symbol(backward, name)
    shown = symbol(forward, own)
    shown = _marked(shown, marks) if marks == r"\bar" else f"{marks}{shown}"
    return shown if not number else shown.replace("_{", f"^{{({number})}}_{{", 1)


def _numbered(forward: Cell, stem: str) -> tuple[str | None, str]:
    """The forward name that a gradient is called after, and its number: `f1` → (f, 1)."""
    for cut in range(len(stem), 0, -1):
        for own in (stem[:cut], stem[:cut] + "'"):
            is_value = own in forward.defined
            if is_value and (cut == len(stem) or stem[cut:].isdigit()):
                return own, stem[cut:]
    return None, ""


def _marked(shown: str, mark: str) -> str:
    r"""`c_{t}` as `\bar{c}_{t}`."""
    head, underscore, rest = shown.partition("_{")
    return f"{mark}{{{head}}}{underscore}{rest}"


COUNTED = """\
of one step of one sample: times B T for a batch; forward is the cell, backward what is derived of it
macs: p q s for a product of p×q by q×s, the outer products of the weight gradients among them
flops: 2 macs + every other operation, an activation as one"""


def list_gradient_cost(derived: BackwardPass) -> Table:
    """The operations of the cell and of its backward cell, kind by kind, in letters."""
    columns = [total_operations(cell) for cell in (derived.forward, derived.backward)]
    kinds = [kind for kind in (*KINDS, "flops") if any(column[kind] != 0 for column in columns)]
    rows = tuple((kind, *(number_text(column[kind]) for column in columns)) for kind in kinds)
    return Table(("one step", "forward", "backward"), (rows,))


FORMATS: dict[str, Callable[[BackwardPass, bool], str]] = {"text": gradient_text, "latex": gradient_latex}
