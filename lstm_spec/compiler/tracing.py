"""`trace`: every named equation and state of a layer at every step, from compiled code that also puts those out.

The program is the layer's own with more outputs, so stacks, directions and masks are what they are in a plain run.
Arrays are time-major, `l0.f (T, B, k)`, in the time order of the input, for reverse cells too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from lstm_spec.compiler.compiled import _load, _title, compile_layer
from lstm_spec.compiler.interpreter import COMPUTE
from lstm_spec.compiler.lowering import lower
from lstm_spec.compiler.masks import alive_steps
from lstm_spec.compiler.ops import op_shape
from lstm_spec.compiler.passes import optimize
from lstm_spec.compiler.program import Op, Program, shapes
from lstm_spec.compiler.targets.numpy import emit_numpy
from lstm_spec.display import Displayed
from lstm_spec.errors import Finding, OptionError
from lstm_spec.layers.layer import Layer, Member
from lstm_spec.layers.weights import State, hold_weights, write_npz
from lstm_spec.symbolic.algebra import Call, Name, Node, Number
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.recurrences import find_recurrence

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Trace(Displayed):
    """Every value of a run: `arrays` maps `l0.f` to (T, B, k), `l0.c` being c after each step.

    NaN stands where a sample has no step (lengths, mask). `kept` has, for each state that keeps a part of itself, that
    part: f for c. `initial` are the states before the first step; y and `state` are what a plain run returns.
    """

    layer: Layer
    arrays: Mapping[str, Array]
    kept: Mapping[str, Array]
    initial: Mapping[str, Array]
    y: Array = field(repr=False)
    state: State = field(repr=False)
    alive: Array = field(repr=False)

    def __getitem__(self, name: str) -> Array:
        alone = f"{self.layer.members[0].prefix}.{name}"
        return self.arrays[alone if name not in self.arrays and len(self.layer.members) == 1 else name]

    def save(self, path: Any) -> None:
        """Write every array as npz, under its name."""
        with open(path, "wb") as file:
            write_npz(file, self.arrays)

    def __str__(self) -> str:
        return "\n".join(f"{name} {array.shape}" for name, array in self.arrays.items())

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the summary; the arrays are for npz."""
        from lstm_spec.compiler.trace_summary import summarize

        steps, samples = self.alive.shape
        return {
            "steps": steps,
            "samples": samples,
            "arrays": {name: list(array.shape) for name, array in self.arrays.items()},
            "summary": [row.to_dict() for row in summarize(self)],
        }


def trace_layer(
    layer: Layer,
    weights: Mapping[str, Array],
    x: Array,
    state: Mapping[str, Array] | None = None,
    *,
    lengths: Any = None,
    mask: Any = None,
) -> Trace:
    """Every gate and state at each step; `ls.trace`.

    >>> from lstm_spec.layers.factory import lstm
    >>> layer = lstm(5, 10)
    >>> traced = trace_layer(layer, layer.random(0), np.zeros((7, 2, 5)))
    >>> list(traced.arrays), traced["f"].shape
    (['l0.i', 'l0.f', 'l0.g', 'l0.o', 'l0.c', 'l0.h'], (7, 2, 10))

    Takes what a compiled layer takes, x in the layer's layout, and raises what it raises.
    """
    y, final = compile_layer(layer)(x, weights, state, lengths=lengths, mask=mask)  # holds everything to its shape
    layer, held = hold_weights(layer, weights)
    sequence = x if layer.layout == "time" else x.swapaxes(0, 1)
    alive = alive_steps(sequence.shape[:2], lengths, mask, layer.layout)
    initial = {name: _initial(name, state, array) for name, array in final.items()}
    names, sizes, functions = _compiled(layer.with_(output="sequence"), str(layer.cell), alive is not None)
    packed = functions["pack"](held)
    sequences = (sequence,) if alive is None else (sequence, alive)
    with np.errstate(all="ignore"):
        joined, *_ = functions["run"](packed, *sequences, *initial.values())
    there = np.ones(sequence.shape[:2], bool) if alive is None else alive[..., 0]
    stops = np.cumsum([joined.shape[2] if s is None else s for s in sizes])[:-1]
    arrays = dict(zip(names, (np.array(part) for part in np.split(joined, stops, axis=2)), strict=True))
    for array in arrays.values():
        array[~there] = np.nan
    with np.errstate(all="ignore"):
        kept = {name: share for m in layer.members for name, share in _kept(layer.cell, m, arrays)}
    return Trace(layer, arrays, kept, initial, y, final, there)


def _initial(name: str, state: Mapping[str, Array] | None, final: Array) -> Array:
    if state is None:
        return np.zeros_like(final)
    return state[name] if name in state else state[name.rpartition(".")[2]]


@lru_cache(maxsize=32)
def _compiled(layer: Layer, text: str, masked: bool) -> tuple[list[str], list[int], dict[str, Any]]:
    """The names that are put out, their widths, and the functions; the text shows how equal cells are written."""
    program, names = put_out_everything(lower(layer, masked))
    sizes = [int(shapes(program)[value][0]) for value in program.after[-1].args]
    return names, sizes, _load(emit_numpy(optimize(program), _title(layer)))


def put_out_everything(program: Program) -> tuple[Program, list[str]]:
    """The program whose output is every named value of every loop, side by side, in time order; and their names."""
    layer, size = program.layer, shapes(program)
    after: list[Op] = []
    put_out: dict[str, tuple[str, Any]] = {}  # name for people → sequence, shape
    stages = []
    for stage in program.stages:
        loops = []
        for loop in stage.loops:
            (member,) = (m for m in layer.members if m.prefix == loop.name)
            added = {}
            for name, value in _values(layer.cell, member):
                if value not in size:
                    continue
                sequence = f"{loop.name}:all.{name}"
                added[sequence] = value
                if member.reverse:
                    after.append(Op(f"{sequence}.aligned", "reverse_time", (sequence,), size[value]))
                    sequence = f"{sequence}.aligned"
                put_out[f"{loop.name}.{name}"] = sequence, size[value]
            loops.append(replace(loop, outputs={**loop.outputs, **added}))
        stages.append(replace(stage, loops=tuple(loops)))
    if not put_out:
        raise OptionError(Finding("trace", "no equation of this cell depends on the input or a state"))
    widths = [shape for _, shape in put_out.values()]
    after.append(Op("::all", "join", tuple(s for s, _ in put_out.values()), op_shape("join", widths)))
    return replace(program, stages=tuple(stages), after=tuple(after), output="::all"), list(put_out)


def _values(cell: Cell, member: Member) -> Iterator[tuple[str, str]]:
    """Each equation's name for people and its value in the program; what reads only weights has no time."""
    moving = {d.name for d in cell.inputs + cell.states}
    for equation in cell.ordered:
        moving |= set(equation.targets) if moving & set(equation.reads) else set()
    for equation in cell.equations:
        for target in equation.targets:
            source = target
            while source in cell.defined and isinstance(cell.defined[source].expression, Name):
                source = cell.defined[source].expression.name  # a bare name on the right is that value itself
            if target in moving:
                yield target.removesuffix("'"), f"{member.prefix}.{source}"


def _kept(cell: Cell, member: Member, arrays: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """What each state keeps of itself at each step, where the trace has all that it is made of."""
    for state in cell.states:
        found = find_recurrence(cell, state.name)
        name = f"{member.prefix}.{state.name}"
        if found is None or found.kept == 0 or found.through or name not in arrays:
            continue
        atoms = {
            s: _value(node, cell, member, arrays) for s, node in found.atoms.items() if s in found.kept.free_symbols
        }
        if all(value is not None for value in atoms.values()):
            yield name, np.broadcast_to(np.asarray(_evaluate(found.kept, atoms)), arrays[name].shape)


def _value(node: Node, cell: Cell, member: Member, arrays: Mapping[str, Array]) -> Any:
    """An atom in the trace's values: a name, or a function of names; None for what no name stands for."""
    if isinstance(node, Number):
        return float(node.value)
    if isinstance(node, Name):
        is_before = any(s.name == node.name for s in cell.states)
        return None if is_before else arrays.get(f"{member.prefix}.{node.name.removesuffix(chr(39))}")
    if type(node).__name__ in ("Product", "Join", "Transpose"):
        return None
    operands = node.tensors if isinstance(node, Call) else node.operands
    inner = [_value(operand, cell, member, arrays) for operand in operands]
    if any(value is None for value in inner):
        return None
    numbers = [float(n) for n in node.numbers] if isinstance(node, Call) else []
    kind = node.function if isinstance(node, Call) else type(node).__name__.lower()
    return COMPUTE[kind](*inner, *numbers)


def _evaluate(expression: Any, atoms: Mapping[Any, Any]) -> Any:
    """A formula of atoms in arrays."""
    if expression.is_Symbol:
        return atoms[expression]
    if expression.is_Number:
        return float(expression)
    parts = [_evaluate(part, atoms) for part in expression.args]
    if expression.is_Pow:
        return parts[0] ** parts[1]
    total = parts[0]
    for part in parts[1:]:
        total = total + part if expression.is_Add else total * part
    return total
