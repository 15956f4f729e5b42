"""Layer → Program: every equation as ops, in the step of its loop, exactly as written.

Makes no decision about speed: nothing is packed, hoisted or folded here. Refuses by name what no program can say yet.
"""

from __future__ import annotations

from sympy import Integer

from lstm_spec.compiler.backward import follow_backward
from lstm_spec.compiler.building import Builder
from lstm_spec.compiler.merging import Lowered, merge_outputs
from lstm_spec.compiler.program import Carried, Loop, Op, Program, Stage
from lstm_spec.errors import Finding, OptionError
from lstm_spec.layers.layer import Layer, Member

ALIVE = "alive"


def lower(layer: Layer, masked: bool = False, gradient: bool = False) -> Program:
    """The program of a layer, one op for each node of its equations.

    Input `x (T, B, n)`, output `y (T, B, D·width)`, or `(B, D·width)` when the layer returns its last step. A `masked`
    program also takes `alive (T, B, 1)`: a step that is not alive keeps the states, and puts out what the layer's
    padding says. With `gradient` the backward loops follow. Raises OptionError for totals and for products whose left
    side is computed at run time.
    """
    _refuse_unsupported(layer)
    pack: list[Op] = []
    stages: list[Stage] = []
    stack: list[list[Lowered]] = []
    source, before = "x", list[Op]()
    for index in range(layer.layers):
        members = [m for m in layer.members if m.index == index]
        lowered = [_lower_member(layer, m, source, pack, masked) for m in members]
        stack.append(lowered)
        before += [op for m in lowered for op in m.before]
        stages.append(Stage(tuple(before), tuple(m.loop for m in lowered)))
        final = index == layer.layers - 1
        before, source = merge_outputs(layer, index, lowered, final and layer.output == "last")
    mask = ALIVE if masked else None
    program = Program(layer, layer.parameter_shapes(), "x", tuple(pack), tuple(stages), tuple(before), source, mask)
    return follow_backward(program, stack, pack) if gradient else program


def _refuse_unsupported(layer: Layer) -> None:
    for equation in layer.cell.equations:
        if equation.total:
            raise OptionError(
                Finding(
                    "total", f"{equation.left} is a total; a layer does not compute totals", layer.cell.at(equation)
                )
            )
    for state in layer.cell.states:
        if layer.shapes_of_cell[state.name].is_matrix:
            raise OptionError(Finding("matrix", f"the state {state} is a matrix; a layer carries vectors"))


def _lower_member(layer: Layer, member: Member, source: str, pack: list[Op], masked: bool) -> Lowered:
    cell, before, alive = layer.cell, list[Op](), ALIVE
    taken = cell.inputs[0].name
    if member.reverse:
        reversed_ = f"{member.prefix}::x"  # two colons: one marks a state after the last step
        shape = Builder(cell, member.sizes, member.prefix, [], "").size_of(taken)
        before.append(Op(reversed_, "reverse_time", (source,), shape))
        source = reversed_
        if masked:
            alive = f"{member.prefix}::alive"
            before.append(Op(alive, "reverse_time", (ALIVE,), (Integer(1),)))
    builder = Builder(cell, member.sizes, member.prefix, pack, source, {taken: source})
    for equation in cell.ordered:
        builder.add(equation)
    states = tuple(
        Carried(
            builder.names[s.name],
            _kept(builder, s.name, alive) if masked else builder.value(s.name + "'"),
            f"{member.prefix}:{s.name}",
            builder.size_of(s.name),
        )
        for s in cell.states
    )
    outputs = {
        f"{member.prefix}:y.{name}": _shown(layer, builder, name, alive)
        if masked
        else builder.value(cell.value_of(name))
        for name in cell.outputs
    }
    loop = Loop(member.prefix, states, tuple(builder.body), outputs)
    return Lowered(before, loop, member, builder, alive if masked else None)


def _kept(builder: Builder, state: str, alive: str) -> str:
    """A state after a step that may not be there: its new value where it is, else the value before."""
    old = builder.names[state]
    return builder.append(f"{old}.kept", "select", (alive, builder.value(state + "'"), old), builder.size_of(state))


def _shown(layer: Layer, builder: Builder, output: str, alive: str) -> str:
    """An output of a step that may not be there: 0 where it is not, or the state that was kept."""
    is_state = any(s.name == output for s in layer.cell.states)
    if layer.padding == "repeat" or layer.output == "last":
        if not is_state:
            message = f"the output {output} is no state: what it was before is not kept"
            raise OptionError(Finding("padding", message, found=f"padding = {layer.padding}"))
        return _kept(builder, output, alive)
    own = layer.cell.value_of(output)
    value, base = builder.value(own), f"{builder.prefix}.{output}"
    zero = builder.zero(f"{base}.zero")
    return builder.append(f"{base}.shown", "select", (alive, value, zero), builder.size_of(own))
