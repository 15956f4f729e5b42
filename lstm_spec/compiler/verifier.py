"""Is a program one? Every region reads only what it may, every name is made once, every shape is what its op makes.

Run after each pass: a pass that breaks a program is our bug, and is found where it happens.
"""

from __future__ import annotations

from collections.abc import Mapping

from lstm_spec.compiler.ops import OF_SEQUENCES, OF_WEIGHTS, TOTALS, Size, op_shape
from lstm_spec.compiler.program import Loop, Op, Program
from lstm_spec.errors import InternalError


def verify(program: Program) -> Program:
    """The program itself, if every region reads only what it may and every shape is what its op makes.

    Raises InternalError: a pass that breaks this is our bug.
    """
    _Verifier(program).run()
    return program


class _Verifier:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.weights: dict[str, tuple[Size, ...]] = dict(program.parameters)
        self.sequences: dict[str, tuple[Size, ...]] = program.inputs
        self.defined = {*self.weights, *self.sequences}
        self.initial = {s.before: s.shape for s in program.states}
        self.before = {f"before l{number}" for number in range(len(program.stages))}

    def run(self) -> None:
        program = self.program
        self._region("pack", program.pack, self.weights, {})
        for number, stage in enumerate(program.stages):
            self._region(f"before l{number}", stage.before, self.sequences, self.weights)
            finished: dict[str, tuple[Size, ...]] = {}
            for loop in stage.loops:
                finished |= self._loop(loop)
            self.sequences |= finished
        self._region("after", program.after, self.sequences, self.weights)
        for name in program.results:
            if name not in self.sequences and name not in {s.final for s in program.states}:
                raise InternalError(f"the output {name} is not computed")

    def _loop(self, loop: Loop) -> dict[str, tuple[Size, ...]]:
        local = {s.before: s.shape for s in loop.states}
        for name in local:
            self._define(name, loop.name)
        self._region(f"step {loop.name}", loop.body, local, self.sequences | self.weights)
        readable = local | self.sequences | self.weights
        for state in loop.states:
            if readable.get(state.after) != state.shape:
                raise InternalError(f"{loop.name}: {state.after} does not carry {state.before} on: {state.shape}")
        missing = [v for v in loop.outputs.values() if v not in readable]
        if missing:
            raise InternalError(f"{loop.name}: {missing[0]} is put out but not computed")
        results = {sequence: readable[value] for sequence, value in loop.outputs.items()}
        results |= {s.final: s.shape for s in loop.states}
        for op in loop.totals:
            if op.kind not in TOTALS or any(a not in readable for a in op.args):
                raise InternalError(f"{loop.name}: {op} is no total of what is known there")
            if op.shape != op_shape(op.kind, [readable[a] for a in op.args], op.numbers):
                raise InternalError(f"{loop.name}: {op} has the wrong shape {op.shape}")
            results[op.out] = op.shape
        for name in results:
            self._define(name, loop.name)
        return results

    def _region(
        self, title: str, ops: tuple[Op, ...], own: dict[str, tuple[Size, ...]], outer: Mapping[str, tuple[Size, ...]]
    ) -> None:
        for op in ops:
            readable = own | dict(outer) | (self.initial if op.kind == "shift" else {})
            for name in op.args:
                if name not in readable:
                    raise InternalError(f"{title}: {op} reads {name}, which is not known there")
            if op.kind in OF_WEIGHTS and op.args[0] not in self.weights:
                raise InternalError(f"{title}: {op} takes {op.args[0]} as its matrix, which is no weight")
            if op.kind in OF_SEQUENCES and title not in ("after", *self.before):
                raise InternalError(f"{title}: {op} stands where there is no sequence")
            made = op_shape(op.kind, [readable[a] for a in op.args], op.numbers)
            if made != op.shape:
                raise InternalError(f"{title}: {op} has the shape {made}, not {op.shape}")
            self._define(op.out, title)
            own[op.out] = op.shape

    def _define(self, name: str, title: str) -> None:
        if name in self.defined:
            raise InternalError(f"{title}: {name} is defined twice")
        self.defined.add(name)
