"""An identification → words: the verdict, every block drawn in its array, why nothing else fits, and how to read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lstm_spec.conformance.identification.hypotheses import Hypothesis
from lstm_spec.conformance.identification.identification import Identification, NearMiss
from lstm_spec.conformance.identification.layouts import PLACES, Part, Sizes
from lstm_spec.conformance.identification.limits import error_text
from lstm_spec.errors import safe
from lstm_spec.phrases import counted, shortened

QUIET = {"coupling": "none", "peepholes": "none", "biases added": "all", "states": "as named"}  # what goes unsaid
MOST_MISSES, MOST_DIALECTS, MOST_CHANGES, MOST_UNREAD = 7, 3, 3, 8
PLACE_WORDS = {
    "W": "multiplies x",
    "U": "multiplies h",
    "J": "multiplies x and h",
    "b": "bias",
    "b1": "bias",
    "bb": "both biases",
    "p": "peepholes",
    "p1": "peephole",
    "P1": "peephole",
    "proj": "projects h",
}


def tell_identification(found: Identification) -> str:
    """Everything about an identification, as lines of text."""
    sections = (
        _verdict(found),
        [f"  {line}" for line in _doubts(found)],
        [f"  {axis:<22}{word}" for axis, word in found.best.hypothesis.axes().items() if QUIET.get(axis) != word],
        [f"  {line}" for line in _drawn(found)],
        _misses(found),
        _dialects(found),
        [*(f"note  {note}" for note in found.notes), *_how_to_read(found)],
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines)


def _verdict(found: Identification) -> Iterator[str]:
    sizes = ", ".join(f"{letter} = {size}" for letter, size in found.sizes.items())
    many = counted(found.samples, "sample")
    measured = f"{error_text(found.best.error)} (limit {found.tolerance:.0e}, {found.dtype})"
    if found.ok:
        yield f"identified: one convention fits, within {measured}"
    elif found.fits:
        yield f"not identifiable: several conventions fit equally well, within {measured}"
    else:
        yield f"no convention fits: the nearest misses by {measured}"
    yield f"  {safe(found.origin)}: {sizes}, {many}"
    if found.unread:
        yield f"  left out: {shortened(found.unread, MOST_UNREAD, lambda name: safe(name, 40))}"


def _doubts(found: Identification) -> Iterator[str]:
    for doubt in found.doubts:
        axis = safe(doubt.axis, 80)
        shown = " | ".join(doubt.choices[:4]) + (f" | … ({len(doubt.choices)})" if len(doubt.choices) > 4 else "")
        yield f"undecided  {axis}: {shown}"
        yield f"  because  {doubt.reason}"
    if found.doubts:
        yield "a step with x, h and c that are not 0, and weights that differ, would decide"
    elif not found.fits:
        c, h = found.best.of_c, found.best.of_h
        if min(c, h) <= found.tolerance:
            right, wrong = ("c'", "h'") if c < h else ("h'", "c'")
            yield f"{right} fits within {error_text(min(c, h))}; {wrong} does not: {error_text(max(c, h))}"
        yield "what is not tried: layer normalization, clipping, other activations, an output of another layer,"
        yield "packed arrays whose gates lie in different orders"
        yield "the nearest is:"


def _drawn(found: Identification) -> Iterator[str]:
    """Each array with its blocks, in the order in which they lie."""
    best = found.best.hypothesis
    sizes = Sizes(found.sizes["n"], found.sizes.get("r", found.sizes["k"]), found.sizes["k"], best.layout.blocks)
    rows = [row for part in best.layout.parts for row in _rows(part, best, sizes)]
    width = max(len(name) for name, _, _ in rows)
    place = max(len(words) for _, words, _ in rows)
    yield from (f"{name:<{width}}  {words:<{place}}  {drawn}".rstrip() for name, words, drawn in rows)


def _rows(part: Part, best: Hypothesis, sizes: Sizes) -> Iterator[tuple[str, str, str]]:
    letters = best.peepholes if part.role in ("p", "p1", "P1") else best.order
    shape = f"({', '.join(map(str, part.shape))}{',' * (len(part.shape) == 1)})"
    joined = (
        {"xh": ": [x, h]", "hx": ": [h, x]"}.get(best.layout.join, "")
        if PLACES.get(part.role, part.role) == "J"
        else ""
    )
    for index, name in enumerate(part.names):
        words = PLACE_WORDS[PLACES.get(part.role, part.role)] + joined
        if part.role.endswith("1"):
            turned = ", transposed" if part.axes[0] in ("m", "j") else ""
            yield f"{safe(name, 40)} {shape}", words, f"{letters[index]}{turned}"
        else:
            yield f"{safe(name, 40)} {shape}", words, _blocks(part, letters, sizes)


def _blocks(part: Part, letters: str, sizes: Sizes) -> str:
    """`rows [ i 0:4 | f 4:8 | … ]`."""
    for number, axis in enumerate(part.axes):
        side = ("rows" if number == 0 else "columns") if len(part.axes) == 2 else f"axis {number}"
        side = "" if len(part.axes) == 1 else f"{side} "
        if axis in ("gk", "pk", "sgk"):
            repeated = letters * (2 if axis == "sgk" else 1)
            ends = [(i * sizes.k, (i + 1) * sizes.k) for i in range(len(repeated))]
            return f"{side}[ {' | '.join(f'{g} {a}:{b}' for g, (a, b) in zip(repeated, ends, strict=True))} ]"
        if axis in ("kg", "kp", "skg"):
            return f"{side}[ {' '.join(letters)} | {' '.join(letters)} | … ] unit by unit"
        if axis in ("g", "p"):
            return f"{side}[ {' | '.join(letters)} ]"
    return "" if part.axes[0] in "rs" else "transposed"


def _misses(found: Identification) -> Iterator[str]:
    if not found.fits or not found.near:
        return
    yield "why nothing else fits: one choice changed, and how far c' and h' are off"
    for miss in found.near[:MOST_MISSES]:
        of_c, of_h = error_text(miss.candidate.of_c), error_text(miss.candidate.of_h)
        yield f"  c' {of_c:<8} h' {of_h:<8} {_changed(miss, found)}"


def _changed(miss: NearMiss, found: Identification) -> str:
    parts = []
    for axis, (mine, theirs) in miss.change.items():
        moved = [g for g, other in zip(mine.split(", "), theirs.split(", "), strict=False) if g != other]
        swapped = f" ({' and '.join(moved)} swapped)" if axis == "gates" and len(moved) == 2 else ""
        parts.append(f"{safe(axis, 80)}: {theirs}{swapped}")
    return "; ".join(parts)


def _dialects(found: Identification) -> Iterator[str]:
    same = [d.dialect for d in found.dialects if not d.change]
    if same:
        yield f"dialect  {' and '.join(same)}: the same convention"
    fewest = min((len(d.change) for d in found.dialects if d.change), default=0)
    near = [d for d in found.dialects if d.change and (d.named or (not same and len(d.change) == fewest))]
    for one in near[:MOST_DIALECTS]:
        off = f", and believed they are off by {error_text(one.error)}" if one.error is not None else ""
        named = f" (whose names these are{off})" if one.named else ""
        yield f"not {one.dialect}{named}: {_listed(_difference(a, *w) for a, w in one.change.items())}"


def _difference(axis: str, mine: str, theirs: str) -> str:
    return f"{axis} {theirs} there, here {mine}"


def _listed(differences: Iterable[str]) -> str:
    shown = list(differences)
    more = [f"and {len(shown) - MOST_CHANGES} more"] if len(shown) > MOST_CHANGES else []
    return "; ".join([*shown[:MOST_CHANGES], *more])


def _how_to_read(found: Identification) -> Iterator[str]:
    if not found.ok:
        return
    named = next((d.dialect for d in found.dialects if not d.change and d.named), None)
    if named:
        yield f"read it with --dialect {named}: lstm-spec run WEIGHTS --dialect {named} --input x.npz --output y.npz"
    elif found.dialect:
        yield f"the names are not {found.dialect}'s: rename the arrays, then read them with --dialect {found.dialect}"
    yield "take it over: --output own.npz writes the weights under lstm-spec's own names; then"
    options = ["lstm-spec run own.npz", *run_options(found.best.hypothesis), "--input x.npz --output y.npz"]
    yield f"  {' '.join(options)}"


def run_options(best: Hypothesis) -> list[str]:
    """The options of `lstm-spec run` for the weights under our own names; none where the names say all."""
    layout = best.layout
    unseen = {
        "--forget-bias": str(best.forget) if best.forget else "",
        "--gate-activation": f'"{best.gate}"' if best.gate != "sigmoid" else "",
        "--candidate-activation": best.candidate if best.candidate != "tanh" else "",
        "--output-activation": best.output if best.output != "tanh" else "",
        "--peephole-output": "before" if best.peepholes and best.output_sees == "c" else "",
    }
    said = [f"{option} {value}" for option, value in unseen.items() if value]
    if not said and not layout.has("P1"):
        return []
    seen = [f"--bias {words}" for words in [{0: "none", 2: "two"}.get(layout.biases)] if words]
    seen += ["--peephole"] * layout.has("p", "p1") + ["--full-peephole"] * layout.has("P1")
    seen += [f"--coupled {best.coupled}"] * bool(best.coupled) + ["--projection r"] * layout.has("proj")
    return [*said, *seen]
