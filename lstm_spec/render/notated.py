r"""A cell in another school's notation → text, LaTeX and Markdown; a layer's tensors and counts under its names.

The text has the form of the equation language, but its names carry time (`h_{t-1}`), so it does not parse back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from textwrap import wrap
from typing import Any

from lstm_spec.layers.described import LayerShapes, TensorShape
from lstm_spec.render.mathematics import GREEK
from lstm_spec.symbolic.algebra import Call, Join, Name, Node, Product, walk
from lstm_spec.symbolic.cell import Declaration, Equation
from lstm_spec.symbolic.counts import factored
from lstm_spec.symbolic.notation import Notated
from lstm_spec.symbolic.printing import latex, size_text, text
from lstm_spec.symbolic.shapes import matrices
from lstm_spec.symbolic.signs import Sign, type_sign

FUNCTIONS = {"sigmoid": "σ"}
WIDTH = 68  # of what stands behind a label, in 80 columns
UNICODE = {"Γ": r"\Gamma"}


def notated_text(notated: Notated) -> str:
    """The cell as text: its description, the notation, what to know, the declarations, the equations.

    >>> from lstm_spec.cells.family import lstm_cell
    >>> from lstm_spec.symbolic.notation import notate
    >>> from lstm_spec.symbolic.schools import get
    >>> print(notated_text(notate(lstm_cell(), get("colah"))))
    # notation  Christopher Olah, Understanding LSTM Networks, 2015
    # source    colah.github.io/posts/2015-08-Understanding-LSTMs, read in copies of
    #           its equations
    input x_t[n]
    state h_t[k], C_t[k]
    <BLANKLINE>
    f_t  = σ(W_f [h_{t-1}, x_t] + b_f)
    i_t  = σ(W_i [h_{t-1}, x_t] + b_i)
    C~_t = tanh(W_C [h_{t-1}, x_t] + b_C)
    C_t  = f_t * C_{t-1} + i_t * C~_t
    o_t  = σ(W_o [h_{t-1}, x_t] + b_o)
    h_t  = o_t * tanh(C_t)
    """
    return "\n".join([*_comments(notated, "# "), *_declared(notated), "", *_equations(notated)])


def notated_latex(notated: Notated) -> str:
    """The cell as one `aligned` environment; what to know stands above it as comments."""
    return "\n".join([*_comments(notated, "% "), _aligned(notated)])


def _aligned(notated: Notated) -> str:
    lines = []
    for declared in notated.cell.declarations:
        size = r" \times ".join(_size_latex(notated, size) for size in _turned(notated, declared))
        lines.append(rf"{sign_latex(_timed(notated, declared.name))} &\in \mathbb{{R}}^{{{size}}}")
    lines += [_equation_latex(notated, equation) for equation in notated.equations]
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def notated_markdown(notated: Notated) -> str:
    """The description, the notation and what to know as paragraphs, then the equations as displayed mathematics."""
    school = notated.notation
    told = [notated.cell.description, f"Notation: {school.title} ({school.source})."]
    told += [f"Note: {remark}." for remark in notated.remarks]
    return "\n\n".join(filter(None, [*told, f"$$\n{_aligned(notated)}\n$$"]))


FORMATS = {"text": notated_text, "latex": notated_latex, "markdown": notated_markdown}


def _comments(notated: Notated, mark: str) -> Iterator[str]:
    if notated.cell.description:
        yield from (f"{mark}{line}".rstrip() for line in notated.cell.description.splitlines())
    told = [("notation", notated.notation.title), ("source", notated.notation.source)]
    for label, words in [*told, *(("note", remark) for remark in notated.remarks)]:
        first, *rest = wrap(words, WIDTH, break_on_hyphens=False)
        yield f"{mark}{label:<10}{first}"
        yield from (f"{mark}{'':<10}{line}" for line in rest)


# ---- text ----


def _declared(notated: Notated) -> Iterator[str]:
    cell = notated.cell
    for keyword, declared in (("input", cell.inputs), ("state", cell.states), ("let", cell.lets)):
        if declared:
            yield f"{keyword} {', '.join(_declaration(notated, d) for d in declared)}"
    if cell.outputs != ("h",):
        yield f"output {', '.join(_timed(notated, name).text for name in cell.outputs)}"


def _declaration(notated: Notated, declared: Declaration) -> str:
    sizes = (size_text(size, declared.order) for size in _turned(notated, declared))
    return f"{_timed(notated, declared.name).text}[{', '.join(sizes)}]"


def _turned(notated: Notated, declared: Declaration) -> tuple[Any, ...]:
    """A matrix that is stored the other way round has its sizes the other way round."""
    is_turned = notated.form == "rows" and declared.name in matrices(notated.cell)
    return declared.size[::-1] if is_turned else declared.size


def _timed(notated: Notated, name: str) -> Sign:
    """A declared state is one of every t."""
    key = next((k for k, sign in notated.signs.items() if name in sign.names), name)
    sign = notated.signs[key]
    return replace(sign, when="now") if notated.cell.roles[name] == "state" else sign


def _equations(notated: Notated) -> Iterator[str]:
    lefts = [_left(e, [notated.signs[target].text for target in e.targets], "[{}]") for e in notated.equations]
    width = max((len(left) for left, e in zip(lefts, notated.equations, strict=True) if not e.total), default=0)
    for left, equation in zip(lefts, notated.equations, strict=True):
        yield f"{left:<{width}} {'+=' if equation.total else '='} {text(_typed(equation.expression, notated))}"


def _left(equation: Equation, shown: list[str], bracket: str) -> str:
    return bracket.format(", ".join(shown)) if len(equation.targets) > 1 else shown[0]


def _typed(node: Node, notated: Notated) -> Node:
    """The tree with every name as it is shown."""
    match node:
        case Name():
            return Name(notated.signs[node.name].text)
        case Call():
            function = FUNCTIONS.get(node.function, node.function)
            return Call(function, *(_typed(o, notated) for o in node.operands))
    return node.over(_typed(o, notated) for o in node.operands)


# ---- LaTeX ----


def _equation_latex(notated: Notated, equation: Equation) -> str:
    left = _left(equation, [sign_latex(notated.signs[t]) for t in equation.targets], r"\left[{}\right]")
    sign = r"\mathrel{+}=" if equation.total else "="
    return f"{left} &{sign} {latex(equation.expression, lambda key: sign_latex(notated.signs[key]))}"


def sign_latex(sign: Sign) -> str:
    r"""`f_{t}`, `\tilde{C}_{t-1}`, `\Gamma_{u}^{\langle t \rangle}`."""
    symbol = sign.symbol
    below = symbol.prefix + "_{".join(map(_word, parts := symbol.gate.split("_"))) + "}" * (len(parts) - 1)
    time = {"": "", "before": "t-1"}.get(sign.when, "t")
    match sign.style:
        case "superscript" | "angle":
            above = rf"\langle {time} \rangle" if sign.style == "angle" else time
            return _head(symbol.head) + (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if time else "")
    below = ",".join(filter(None, (below, time)))
    return _head(symbol.head) + (f"_{{{below}}}" if below else "")


def _head(head: str) -> str:
    return rf"\tilde{{{_word(head[:-1])}}}" if head.endswith("~") else _word(head)


def _word(word: str) -> str:
    if word in UNICODE:
        return UNICODE[word]
    if word in GREEK:
        return rf"\{word}"
    return rf"\mathrm{{{word.replace('_', chr(92) + '_')}}}" if len(word) > 1 else word.replace("_", r"\_")


def _size_latex(notated: Notated, size: Any) -> str:
    words = size_text(size, notated.cell.letters).split(" ")
    shown = " ".join(_word(word) if word.isalpha() else word.replace("_", r"\_") for word in words)
    return f"({shown})" if len(words) > 1 else shown


# ---- a layer's tensors and counts ----


def rename_shapes(described: LayerShapes, notated: Notated) -> LayerShapes:
    """The tensors under the notation's names: joined matrices in one, stored ones the way they are stored."""
    return replace(described, tensors=tuple(_tensors(described, notated)))


def _tensors(described: LayerShapes, notated: Notated) -> Iterator[TensorShape]:
    known = {tensor.name: tensor for tensor in described.tensors}
    done: set[str] = set()
    for tensor in described.tensors:
        member, dot, name = tensor.name.rpartition(".")
        sign = _sign_of(notated, name)
        if tensor.kind == "sequence":
            bare = notated.notation.output if name == "y" else name  # a sequence has every t
            yield replace(tensor, name=bare if sign is None else type_sign(sign.symbol, "", sign.style))
        elif tensor.kind == "joined":
            yield from [] if notated.notation.join else [_rename_joined(tensor, notated)]
        elif sign is not None and member + dot + sign.text not in done:
            done.add(member + dot + sign.text)
            parts = [known[member + dot + part] for part in sign.names]
            yield _turned_tensor(replace(_side_by_side(parts, notated), name=member + dot + sign.text), notated)
    if notated.notation.join and "." not in described.tensors[-1].name:
        yield from _joined_vector(known, notated)


def _sign_of(notated: Notated, name: str) -> Sign | None:
    return next((sign for sign in notated.signs.values() if name in sign.names), None)


def _side_by_side(parts: list[TensorShape], notated: Notated) -> TensorShape:
    """One matrix of several: the rows of the first, the columns of all."""
    if len(parts) == 1:
        return parts[0]
    letters = (parts[0].letters[0], sum(p.letters[1] for p in parts))
    sizes = (parts[0].sizes[0], sum(p.sizes[1] for p in parts))
    own = " ".join(p.name.rpartition(".")[2] for p in parts)
    letters_first = notated.cell.letters[:: 1 if notated.notation.join == "xh" else -1]
    note = f"parameter, our [{own}]{' transposed' * (notated.form == 'rows')}"
    return replace(parts[0], letters=letters, sizes=sizes, note=note, order=("T", "B", *letters_first))


def _turned_tensor(tensor: TensorShape, notated: Notated) -> TensorShape:
    """A matrix in the form in which the school stores it."""
    if notated.form != "rows" or tensor.kind != "parameter" or len(tensor.letters) < 2:
        return tensor
    return replace(tensor, letters=tensor.letters[::-1], sizes=tensor.sizes[::-1])


def _rename_joined(tensor: TensorShape, notated: Notated) -> TensorShape:
    """`[x, h]` → `[x_t, h_{t-1}]`; `[W_i U_i]` → `[W_ii W_hi]`, one under the other where vectors are rows."""
    if ", " in tensor.name:
        vectors = ", ".join(notated.signs[part].text for part in tensor.name[1:-1].split(", "))
        return replace(tensor, name=f"[{vectors}]")
    shown = [notated.signs[part].text for part in tensor.name[1:-1].split(" ")]
    is_turned = notated.form == "rows"
    gate = notated.signs[tensor.note.rpartition(" ")[2]].text
    turned = replace(tensor, letters=tensor.letters[::-1], sizes=tensor.sizes[::-1]) if is_turned else tensor
    return replace(turned, name=f"[{('; ' if is_turned else ' ').join(shown)}]", note=f"one matrix of {gate}")


def _joined_vector(known: Mapping[str, TensorShape], notated: Notated) -> Iterator[TensorShape]:
    """What the first joined matrix multiplies."""
    for product in (n for e in notated.equations for n in walk(e.expression) if isinstance(n, Product)):
        for matrix, vector in ((product.left, product.right), (product.right, product.left)):
            if isinstance(vector, Join) and isinstance(matrix, Name) and " " in matrix.name:
                whole = _side_by_side([known[name] for name in matrix.name.split(" ")], notated)
                batched = next(t for t in known.values() if t.kind == "state")
                yield replace(
                    whole,
                    name=text(_typed(vector, notated)),
                    kind="joined",
                    letters=(batched.letters[0], whole.letters[1]),
                    sizes=(batched.sizes[0], whole.sizes[1]),
                    note="joined gate input",
                )
                return


def rename_counts(counts: Mapping[str, Any], notated: Notated) -> dict[str, Any]:
    """Counts by the notation's names, those of a joined matrix added up."""
    merged: dict[str, Any] = {}
    for name, count in counts.items():
        member, dot, own = name.rpartition(".")
        sign = _sign_of(notated, own)
        shown = member + dot + (sign.text if sign else own)
        merged[shown] = factored(merged[shown] + count) if shown in merged else count
    return merged
