"""Named modules, one after the other → each in its place: what it takes from below, what it gives, whose weights.

Derives every width; refuses what does not fit, naming both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lstm_spec.errors import Finding, OptionError, SizeError, safe
from lstm_spec.layers.modules import Dropout, Embedding, Input, Module, RepeatVector, Shared
from lstm_spec.layers.recurrent import Recurrent
from lstm_spec.layers.signals import B, Shape, Signal
from lstm_spec.symbolic.printing import tuple_text

FIRST = "x"  # the first input's name, where it is not written


@dataclass(frozen=True, slots=True)
class Placed:
    """A member in its place: what it takes and gives, and its tensors by their full names.

    `owner` is the member whose weights it uses, itself unless it is `Shared`.
    """

    name: str
    module: Module
    owner: str
    takes: Signal
    gives: Signal

    @property
    def prefix(self) -> str:
        """What stands before its tensors' names."""
        return self.name

    @property
    def parameters(self) -> dict[str, Shape]:
        """`encoder.l0.W_f` → `(k, n)`, under the owner's name."""
        return {f"{self.owner}.{name}": shape for name, shape in self.module.parameters(self.takes).items()}

    @property
    def states(self) -> dict[str, Shape]:
        """`encoder.l0.h` → `(k,)`."""
        return {f"{self.name}.{name}": shape for name, shape in self.module.states(self.takes).items()}

    @property
    def start(self) -> str | None:
        """The member whose final states are the first here."""
        return self.module.start if isinstance(self.module, Recurrent) else None


def begin_members(modules: tuple[tuple[str, Module], ...]) -> tuple[tuple[str, Module], ...]:
    """The members with the input before them, where it is not written."""
    if all(isinstance(module, Input) for _, module in modules):
        found = ", ".join(name for name, _ in modules) or "none"
        raise OptionError(Finding("network", "a network has members", found=found, help="Network(head=Dense(3))"))
    if isinstance(modules[0][1], Input):
        return modules
    if any(name == FIRST for name, _ in modules):
        raise OptionError(Finding("network", f"{FIRST} is the network's input; call the member otherwise"))
    return ((FIRST, _implied_input([module for _, module in modules])), *modules)


def place_members(modules: tuple[tuple[str, Module], ...]) -> Iterator[Placed]:
    """Each member in its place. A second `Input` begins a new chain, and what came before must be read by a start."""
    done: dict[str, Placed] = {}
    flowing = Signal(None)
    for name, module in modules:
        if isinstance(module, Input):
            _refuse_unread(name, done, modules)
            placed = Placed(name, module, name, Signal(None), _given_by(name, module.signal))
        else:
            placed = _place_one(name, module, flowing, done)
        done[name] = placed
        flowing = placed.gives
        yield placed


def _given_by(name: str, signal: Signal) -> Signal:
    return Signal(signal.width, signal.time, name)


def _implied_input(modules: list[Module]) -> Input:
    """What the first module that says it takes: tokens, one vector a sample, or else a sequence of vectors."""
    time = None if any(isinstance(m, RepeatVector) for m in modules[:1]) else "T"
    for module in modules:
        if isinstance(module, Embedding):
            return Input(None, time)
        if isinstance(module, Recurrent) and (module.input_width.is_Symbol or module.input_width.is_Integer):
            return Input(module.input_width, time)
        if not isinstance(module, Dropout | RepeatVector):
            break
    return Input("n", time)


def _place_one(name: str, module: Module, flowing: Signal, done: Mapping[str, Placed]) -> Placed:
    owner = name
    if isinstance(module, Shared):
        owner = module.of
        if owner not in done or not done[owner].parameters or done[owner].owner != owner:
            known = ", ".join(n for n, p in done.items() if p.parameters and p.owner == n) or "none"
            message = f"{name} shares {safe(owner, 40)}, which is no earlier member with weights of its own"
            raise OptionError(Finding("network", message, expected=known))
        _hold_shared(name, done[owner], flowing)
        module = done[owner].module
        module = Recurrent(module.layer, None, module.noise) if isinstance(module, Recurrent) else module
    placed = Placed(name, module, owner, flowing, _given_by(name, module.gives(name, flowing)))
    if placed.start is not None:
        _hold_start(placed, done)
    return placed


def _hold_shared(name: str, owner: Placed, flowing: Signal) -> None:
    """The same weights read the same width."""
    if flowing.width != owner.takes.width:
        raise SizeError(
            Finding(
                "width",
                f"{name} cannot have the weights of {owner.name}",
                expected=f"{tuple_text(owner.takes.shape())}, as {owner.name} takes",
                found=f"{tuple_text(flowing.shape())}, from {flowing.giver}",
                help="shared weights take one width: give the layer as many inputs as outputs",
            )
        )


def _hold_start(placed: Placed, done: Mapping[str, Placed]) -> None:
    """The states of the member that starts it are its own, name by name."""
    source = done.get(str(placed.start))
    if source is None or not source.states:
        known = ", ".join(n for n, p in done.items() if p.states) or "none"
        message = f"{placed.name} starts from {safe(placed.start, 40)}, which is no earlier recurrent member"
        raise OptionError(Finding("network", message, expected=known))
    ends, begins = (_told_states(p) for p in (source, placed))
    if ends != begins:
        message = f"{placed.name} cannot start from {source.name}: their states differ"
        raise SizeError(Finding("start", message, expected=", ".join(begins), found=", ".join(ends)))


def _told_states(placed: Placed) -> list[str]:
    return [f"{n.removeprefix(placed.name + '.')} {tuple_text((B, *s))}" for n, s in placed.states.items()]


def _refuse_unread(name: str, done: Mapping[str, Placed], modules: tuple[tuple[str, Module], ...]) -> None:
    """A new chain begins: the end of the one before is read, by a member that starts from it."""
    started = {m.start for _, m in modules if isinstance(m, Recurrent)}
    last = list(done.values())[-1] if done else None
    if last is not None and last.name not in started:
        raise OptionError(
            Finding(
                "network",
                f"{name} begins a new chain, and nobody reads what {last.name} gives",
                help=f'a later Recurrent(layer, start="{last.name}") does, or move {name} to the front',
            )
        )
