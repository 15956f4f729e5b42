"""Program → a NumPy module that a person would be happy to read; it needs nothing but NumPy.

`pack(weights)` once, then `run(packed, x, *states)`; one step function for each loop. A value that is read once is
written where it is read, so that a line looks like its equation. Makes no decision about order or packing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from lstm_spec.compiler.program import Loop, Op, Program, shapes, uses
from lstm_spec.compiler.targets.letters import Reading, read_letters
from lstm_spec.compiler.targets.python_text import ATOM, HELPERS, Scope, Writer, identifier, wrapped
from lstm_spec.errors import Finding, SizeError
from lstm_spec.symbolic.printing import size_text

STRANGE = r'[^ -~]|["\\]'  # what no equation that was parsed has, and would end a docstring


def emit_numpy(program: Program, title: str, gradient: Program | None = None) -> str:
    """The module's source: `pack`, one step function for each loop, `run`; with `gradient` the same for that program.

    `run(packed, x, *states)` takes x (T, B, n) and each state (B, width), in the program's order, and returns the
    output followed by the states after the last step. `gradient(packed, x, d_y, *states)` takes the gradients of the
    final states behind the states, and returns y, the states, d_x, the parameters' gradients by name, and those of the
    initial states. A program with gradients alone has no `run`. Raises SizeError when a size is open and no array has
    it.
    """
    emitters = [_Emitter(one) for one in (program, gradient) if one is not None]
    lines = [*_head(program, title, {op.kind for e in emitters for op in e.ops()})]
    packs = [list(emitter.pack_weights())[2:] for emitter in emitters]
    for emitter, pack in zip(emitters, packs, strict=True):
        same = emitter is not emitters[0] and pack == packs[0]
        lines += ["", *(["pack_gradient = pack  # both read the same"] if same else emitter.pack_weights()), ""]
        lines += [*emitter.lines()]
    return "\n".join(lines).rstrip() + "\n"


def _head(program: Program, title: str, kinds: set[str]) -> Iterator[str]:
    yield f'"""{title}'
    yield ""
    equations = replace(program.layer.cell, description="")  # a description is free text: kept out of source
    yield from (f"    {re.sub(STRANGE, '?', line)}".rstrip() for line in str(equations).splitlines())
    yield '"""'
    yield from ("", "import numpy as np", "")
    for kind in sorted(kinds & set(HELPERS)):
        yield from ("", HELPERS[kind])


class _Emitter:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.shapes = shapes(program)
        self.read = uses(program)
        forward = [loop.name for loop in program.loops if not loop.backward]
        self.single = len(forward) == 1
        self.prefix = f"{forward[0]}." if self.single else ""
        self.pack, self.run = ("pack_gradient", "gradient") if program.gradients else ("pack", "run")
        self.step_name = {loop.name: self._step_name(loop) for loop in program.loops}
        self.named = frozenset(program.layer.cell.defined)
        put_out = [sequence for loop in program.loops for sequence in loop.outputs]
        self.sequences = {*program.inputs, *put_out, *(op.out for s in program.stages for op in s.before)}
        self.packed = self._packed_names()
        self.functions = frozenset(self.step_name.values()) | ({self.run, self.pack} - {"run", "pack"})
        self.step_sizes = {loop.name: self._passed_sizes(loop) for loop in program.loops}
        self.packed_sizes = self._packed_sizes()

    def _packed_names(self) -> list[str]:
        """The weights that the loops and sequences read, in the program's order."""
        program = self.program
        ops = [op for s in program.stages for op in s.before] + list(program.after)
        ops += [op for loop in program.loops for op in loop.body]
        wanted = {a for op in ops for a in op.args} | {s.after for s in program.states}
        inlined = {op.out for op in program.pack if op.kind == "constant"}
        known = [*program.parameters, *(op.out for op in program.pack)]
        return [name for name in known if name in wanted and name not in inlined]

    def _step_name(self, loop: Loop) -> str:
        """`step`, `step_l0_reverse`; where gradients follow, `step_saving` and `step_back`."""
        kind = "back" if loop.backward else "saving" if self.program.gradients else ""
        of = "" if self.single else identifier(_member(loop))
        return "_".join(filter(None, ["step", kind, of]))

    def lines(self) -> Iterator[str]:
        """The functions of the program."""
        for loop in filter(_results, self.program.loops):
            yield from ("", *self._step(loop), "")
        yield from ("", *self._run(), "")

    def ops(self) -> Iterator[Op]:
        """Every op of the program."""
        yield from self.program.pack
        yield from self.program.after
        for stage in self.program.stages:
            yield from stage.before
            for loop in stage.loops:
                yield from loop.body

    def _scope(self, prefix: str, letters: set[Any], names: list[str]) -> Scope:
        """A function's identifiers: what comes in and the sizes keep their plain names."""
        scope = Scope(prefix, self.functions)
        for name in [*names, *(f"[{letter}]" for letter in sorted(letters, key=str))]:
            scope(name)
        return scope

    def _writer(self, scope: Scope) -> Writer:
        return Writer(scope, self.read, self.named).constants(self.program.pack)

    def pack_weights(self) -> Iterator[str]:
        yield f"def {self.pack}(weights):"
        yield f'    """The weights as `{self.run}` reads them; once for many calls."""'
        letters = self._letters(self.program.pack) | set(self.packed_sizes)
        scope = self._scope(self.prefix, letters, [])
        writer = self._writer(scope)
        sources = {name: f'weights["{name}"]' for name in self.program.parameters}
        writer.texts |= {name: (ATOM, text) for name, text in sources.items()}
        yield from self._bindings(scope, letters, sources)
        yield from writer.statements(self.program.pack, keep=set(self.packed))
        sizes = map(scope.size, self.packed_sizes)
        yield from wrapped(f"    return {_tuple([*map(writer.text, self.packed), *sizes])}")

    def _step(self, loop: Loop) -> Iterator[str]:
        reads, states = self._step_reads(loop), [s.before for s in loop.states]
        letters, passed = self._letters(loop.body), self.step_sizes[loop.name]
        scope = self._scope(_member(loop) + ".", letters, [*reads, *states])
        arguments = [*map(scope.size, passed), *map(scope, [*reads, *states])]
        yield from wrapped(f"def {self.step_name[loop.name]}({', '.join(arguments)}):")
        back = " back" if loop.backward else ""
        yield f'    """One step{back} of {_member(loop)}: {self._step_shapes(loop)}."""'
        yield from self._bindings(scope, letters, {name: scope(name) for name in (*states, *reads)}, passed)
        writer = self._writer(scope)
        results = _results(loop)
        yield from writer.statements(loop.body, keep=set(results))
        yield from wrapped(f"    return {', '.join(map(writer.text, results))}")

    def _step_shapes(self, loop: Loop) -> str:
        letters = self.program.layer.cell.letters
        shown = [f"{s.before.rpartition('.')[2]} (B, {size_text(s.shape[0], letters)})" for s in loop.states]
        return ", ".join(shown) or "no state"

    def _step_reads(self, loop: Loop) -> list[str]:
        """The weights and sequences that a body reads from outside, weights first."""
        own = {op.out for op in loop.body} | {s.before for s in loop.states}
        wanted = dict.fromkeys([*(a for op in loop.body for a in op.args), *_results(loop)])
        outside = [name for name in wanted if name not in own]
        return [n for n in self.packed if n in outside] + [n for n in outside if n in self.sequences]

    def _run(self) -> Iterator[str]:
        program = self.program
        states = [s.before for s in program.states]
        letters = self._run_letters()
        scope = self._scope(self.prefix, letters, [*program.inputs, *states, *self.packed])
        yield from wrapped(f"def {self.run}({', '.join(['packed', *map(scope, [*program.inputs, *states])])}):")
        yield f'    """{self._run_shapes()}"""'
        unpacked = [*map(scope, self.packed), *map(scope.size, self.packed_sizes)]
        if unpacked:
            yield from wrapped(f"    {_tuple(unpacked)} = packed")
        yield f"    T, B = {scope(program.input)}.shape[:2]"
        yield from self._bindings(scope, letters, {n: scope(n) for n in self._run_arrays()}, self.packed_sizes)
        writer = self._writer(scope)
        for initial in dict.fromkeys(
            a for s in program.stages for op in s.before if op.kind == "shift" for a in op.args[1:]
        ):
            writer.texts[initial] = (ATOM, scope(f"{initial}.first"))
            yield f"    {writer.text(initial)} = {scope(initial)}"
        looped = {name for loop in program.loops for name in self._step_reads(loop)}
        for stage in program.stages:
            yield from writer.statements(stage.before, keep=looped)
            for loop in filter(_results, stage.loops):
                yield from self._loop(loop, scope)
        yield from writer.statements(program.after, keep=set())
        yield from self._return(writer)

    def _return(self, writer: Writer) -> Iterator[str]:
        program, scope = self.program, writer.scope
        if program.gradients is None:
            yield from wrapped(
                f"    return {_tuple([writer.text(program.output), *(scope(s.final) for s in program.states)])}"
            )
            return
        finals = [scope(s.final) for s in program.states]
        half = len(finals) // 2
        yield "    d_weights = {"
        for name, d in program.gradients.parameters.items():
            yield f'        "{name}": {writer.text(d)},'
        yield "    }"
        y, d_x = writer.text(program.output), writer.text(program.gradients.input)
        states, d_states = (f"[{', '.join(some)}]" for some in (finals[:half], finals[half:]))
        yield from wrapped(f"    return {y}, {states}, {d_x}, d_weights, {d_states}")

    def _loop(self, loop: Loop, scope: Scope) -> Iterator[str]:
        put_out = {name: value for name, value in loop.outputs.items() if self.read.get(name)}
        for sequence, value in put_out.items():
            named = Scope(self.prefix, self.functions, dict(scope.names))(self._sequence_name(loop, sequence))
            scope.names.setdefault(sequence, named)
            width = scope.size(self.shapes[value][0])
            yield f"    {scope(sequence)} = np.empty((T, B, {width}), {scope(self.program.input)}.dtype)"
        results = {s.after: scope(s.before) for s in reversed(loop.states)}
        results |= {value: scope(f"{value}[t]") for value in _results(loop) if value not in results}
        reads = [f"{scope(n)}[t]" if n in self.sequences else scope(n) for n in self._step_reads(loop)]
        reads = [*map(scope.size, self.step_sizes[loop.name]), *reads, *(scope(s.before) for s in loop.states)]
        yield f"    for t in {'reversed(range(T))' if loop.backward else 'range(T)'}:"
        call = f"{self.step_name[loop.name]}({', '.join(reads)})"
        yield from wrapped(f"        {', '.join(results[value] for value in _results(loop))} = {call}")
        for state in loop.states:
            if results[state.after] != scope(state.before):  # h' = c': one value is two states
                yield f"        {scope(state.before)} = {results[state.after]}"
            scope.names[state.final] = scope(state.before)
        yield from (f"        {scope(sequence)}[t] = {results[value]}" for sequence, value in put_out.items())

    def _sequence_name(self, loop: Loop, sequence: str) -> str:
        """`y` where there is only one, else `l0_y`, `l0_reverse_y`."""
        is_output = sequence.partition(":")[2].startswith("y.")
        only = self.single and sum(":y." in s for s in loop.outputs) == 1
        return "y" if only and is_output else sequence

    def _run_shapes(self) -> str:
        layer = self.program.layer
        letters = layer.cell.letters
        n, width = (size_text(s, letters) for s in (self.shapes[self.program.input][0], layer.output_width))
        apart = f"{layer.directions}, " if layer.merge == "apart" else ""
        y = f"y (T, {apart}B, {width})" if layer.output == "sequence" else f"y ({apart}B, {width}), the last step"
        mask = ", alive (T, B, 1)" if self.program.mask else ""
        if self.program.gradients:
            return f"x (T, B, {n}){mask}, the gradient of {y} -> y, states, d_x, d_weights, d_states."
        return f"x (T, B, {n}){mask} -> {y}, and the states after the last step."

    # ---- sizes that are letters ----

    def _letters(self, ops: Iterable[Op]) -> set[Any]:
        sliced = (op for op in ops if op.kind in ("rows", "columns", "block"))
        return {s for op in sliced for number in op.numbers for s in number.free_symbols}

    def _bindings(
        self, scope: Scope, letters: set[Any], texts: Mapping[str, str], passed: Iterable[Any] = ()
    ) -> Iterator[str]:
        """`k = h.shape[-1]`: each letter that is needed and not passed in, read from an array at hand."""
        for letter, reading in self._readings(letters, texts, passed).items():
            text = f"{texts[reading.array]}.shape[{reading.axis}]"
            if reading.rest != 0:
                rest = scope.size(reading.rest)
                text += f" - {rest}" if reading.rest.is_Symbol else f" - ({rest})"
            if reading.factor != 1:
                text = f"{text} // {reading.factor}" if reading.rest == 0 else f"({text}) // {reading.factor}"
            yield f"    {scope.size(letter)} = {text}"

    def _readings(self, letters: set[Any], arrays: Iterable[str], passed: Iterable[Any] = ()) -> dict[Any, Reading]:
        return read_letters(letters, {name: self.shapes[name] for name in arrays}, passed)

    def _passed_sizes(self, loop: Loop) -> list[Any]:
        """The letters that a step needs and cannot read from its arrays."""
        letters = self._letters(loop.body)
        arrays = [*(s.before for s in loop.states), *self._step_reads(loop)]
        return sorted(letters - set(self._readings(letters, arrays)), key=str)

    def _packed_sizes(self) -> list[Any]:
        """The letters that `run` needs and cannot read from its arrays: `pack` hands them on."""
        letters = self._run_letters()
        missing = letters - set(self._readings(letters, self._run_arrays()))
        if lost := sorted(map(str, missing - set(self._readings(missing, self.program.parameters)))):
            help = f"give the layer numbers for them: layer.at({', '.join(f'{name}=…' for name in lost)})"
            raise SizeError(Finding("size", f"no array's shape tells {' and '.join(lost)}", help=help))
        return sorted(missing, key=str)

    def _run_arrays(self) -> list[str]:
        return [*(s.before for s in self.program.states), self.program.input, *self.packed]

    def _run_letters(self) -> set[Any]:
        """The letters in `run`: of its slices, of the outputs' widths, and what steps are passed."""
        program = self.program
        ops = [op for s in program.stages for op in s.before] + list(program.after)
        widths = {s for loop in program.loops for v in loop.outputs.values() for s in self.shapes[v][0].free_symbols}
        return self._letters(ops) | widths | {size for sizes in self.step_sizes.values() for size in sizes}


def _member(loop: Loop) -> str:
    return loop.name.removesuffix(".backward")


def _results(loop: Loop) -> list[str]:
    """What a step returns: the states after it, then what else is put out; each once."""
    return list(dict.fromkeys([*(s.after for s in loop.states), *loop.outputs.values()]))


def _tuple(items: list[str]) -> str:
    return f"({items[0]},)" if len(items) == 1 else ", ".join(items) or "()"
