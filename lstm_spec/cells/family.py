"""The LSTM by option → its equations.

Each option changes the text of the equations and nothing else; shapes, counts and code follow from the text. Makes no
decision about sizes, frameworks or time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from lstm_spec.cells.options import BIASES, COUPLINGS, Bias, Coupling, LstmOptions, Norm, Peephole
from lstm_spec.symbolic.cell import Cell
from lstm_spec.symbolic.language import parse

# epsilons of the published layer normalizations: Ba's code and PyTorch 1e-5; tfa.rnn.LayerNormLSTMCell 1e-3;
# tf.contrib.layers.layer_norm 1e-12; TFLite's kNormalizationConstant 1e-8
EPSILON = {"ba": "1e-5", "tfa": "1e-3", "tf1": "1e-12", "tflite": "1e-8"}


def lstm_cell(options: LstmOptions | None = None) -> Cell:
    """The equations of an LSTM with these options (plain without).

    >>> print(lstm_cell().defined["f"])
    f = sigmoid(W_f x + U_f h + b_f)

    Shapes: `x[n]`, `h[k]` (`h[r]` with projection), `c[k]`. Source: Gers, Schmidhuber & Cummins 2000, and the sources
    that `LstmOptions` names. Raises OptionError when options contradict each other.
    """
    return _cell(options or LstmOptions())


@lru_cache(maxsize=256)
def _cell(options: LstmOptions) -> Cell:
    return parse("\n".join(_lines(options)), name="lstm")


def _lines(options: LstmOptions) -> Iterator[str]:
    yield "input x[n]"
    yield f"state h[{'r' if options.projection else 'k'}], c[k]"
    live = [g for g in "ifgo" if not _coupled(g, options)]
    if options.gate_hidden:
        yield f"let {', '.join(f'V_{g}[k, j]' for g in live)}"
    yield ""
    if options.layer_norm in ("ba", "tfa"):
        yield _normalized_whole(live, options)
    for gate in "ifgo":
        if options.gate_hidden and gate in live:
            yield f"a_{gate} = tanh({_sum(_terms(gate, replace(options, peephole='none', peephole_output='after')))})"
        yield f"{gate} = {_coupled(gate, options) or _gate(gate, options)}"
    yield f"c' = {_stored(options)}"
    yield f"h' = {_output(options)}"


def _coupled(gate: str, options: LstmOptions) -> str | None:
    return f"1 - {options.coupled[-1]}" if options.coupled and options.coupled[0] == gate else None


def _normalized_whole(live: list[str], options: LstmOptions) -> str:
    """Ba et al. normalize W x and U h apart, each over the rows of all gates together."""
    epsilon = EPSILON[options.layer_norm]
    parts = [f"layer_norm({m}, {epsilon}) * s_{m[0]} + t_{m[0]}" for m in ("W x", "U h")]
    return f"[{', '.join(f'z_{g}' for g in live)}] = {_sum([*parts, *(['b'] if options.bias == 'one' else [])])}"


def _gate(gate: str, options: LstmOptions) -> str:
    """`sigmoid(W_f x + U_f h + b_f)`, with what the options put around and into the sum."""
    constant = options.forget_bias if gate == "f" else Fraction(0)
    total = _with_constant(_sum(_preactivation(gate, options)), constant)
    if options.clip:
        total = f"clip({total}, -{_written(options.clip)}, {_written(options.clip)})"
    return _applied(options.candidate_activation if gate == "g" else options.gate_activation, total)


def _preactivation(gate: str, options: LstmOptions) -> list[str]:
    if options.gate_hidden:
        return [f"V_{gate} a_{gate}", *_peephole(gate, options), *([f"d_{gate}"] if options.bias != "none" else [])]
    if options.layer_norm in ("ba", "tfa"):
        return [f"z_{gate}", *_peephole(gate, options)]
    if options.layer_norm == "none":
        return _terms(gate, options)
    plain = replace(options, layer_norm="none", bias="none")
    epsilon = EPSILON[options.layer_norm]
    if options.layer_norm == "tflite":  # the peephole is normalized with the rest; TensorFlow 1 adds it behind
        return [f"layer_norm({_sum(_terms(gate, plain))}, {epsilon}) * s_{gate}", f"b_{gate}"]
    inside = _sum(_terms(gate, replace(plain, peephole="none", peephole_output="after")))
    return [f"layer_norm({inside}, {epsilon}) * s_{gate}", f"t_{gate}", *_peephole(gate, options)]


def _terms(gate: str, options: LstmOptions) -> list[str]:
    """`W_f x`, `U_f h`, `p_f * c`, `b_f`: what a gate adds."""
    two = options.bias == "two"
    terms = [f"W_{gate} x", *([f"b_W{gate}"] if two else []), f"U_{gate} h", *([f"b_U{gate}"] if two else [])]
    terms += _peephole(gate, options)
    return [*terms, f"b_{gate}"] if options.bias == "one" else terms


def _peephole(gate: str, options: LstmOptions) -> list[str]:
    if options.peephole == "none" or gate == "g":
        return []
    seen = "c'" if gate == "o" and options.peephole_output == "after" else "c"
    return [f"p_{gate} * {seen}" if options.peephole == "diagonal" else f"P_{gate} {seen}"]


def _stored(options: LstmOptions) -> str:
    """The cell as it is stored; TensorFlow's two cells store it normalized."""
    stored = "f * c + i * g"
    if options.layer_norm in ("tf1", "tfa"):
        stored = f"layer_norm({stored}, {EPSILON[options.layer_norm]}) * s_c + t_c"
    return _clipped(stored, options.clip_cell)


def _output(options: LstmOptions) -> str:
    read = f"layer_norm(c', {EPSILON['ba']}) * s_c + t_c" if options.layer_norm == "ba" else "c'"
    output = f"o * {_applied(options.output_activation, read)}"
    if options.projection:
        output = f"W_proj ({output})" + (" + b_proj" if options.projection_bias else "")
    return _clipped(output, options.clip_projection)


def _applied(activation: str, argument: str) -> str:
    """`tanh(z)`, `hard_sigmoid(z, 1/6, 1/2)`."""
    name, bracket, numbers = activation.partition("(")
    return f"{name}({argument}, {numbers}" if bracket else f"{name}({argument})"


def _clipped(text: str, bound: Fraction | None) -> str:
    return f"clip({text}, -{_written(bound)}, {_written(bound)})" if bound else text


def _sum(terms: list[str]) -> str:
    return " + ".join(terms)


def _with_constant(total: str, constant: Fraction) -> str:
    return f"{total} {'-' if constant < 0 else '+'} {_written(abs(constant), ' / ')}" if constant else total


def _written(value: Fraction, slash: str = "/") -> str:
    """A positive fraction as the language writes numbers: `1`, `0.5`, `1/3`."""
    if value.denominator == 1:
        return str(value)
    decimal = repr(float(value))
    return decimal if Fraction(decimal) == value else f"{value.numerator}{slash}{value.denominator}"


__all__ = ["BIASES", "COUPLINGS", "Bias", "Coupling", "LstmOptions", "Norm", "Peephole", "lstm_cell"]
