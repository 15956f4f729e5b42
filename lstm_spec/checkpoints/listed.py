"""What an index lists, held against what the files of its model hold: neither may have more than the other.

The index of an HDF5 model may list a whole group (Keras 3, `/layers/lstm/cell/vars`), or a dataset under the name of
the model around it (transformers, `tf_model/…`, which its files leave out).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from lstm_spec.checkpoints.index import Index, suffix_listed
from lstm_spec.errors import Finding, Severity, safe
from lstm_spec.phrases import counted

HDF5 = (".h5", ".hdf5")
MOST = 6  # of the names that are told
AGAIN = "fetch the files again, or save the model again"


def hold_listed(index: Index, files: Sequence[str], held: Sequence[Mapping[str, int]]) -> tuple[Finding, ...]:
    """What is wrong with the files by their index.

    `held` are the names of each file's tensors, as they stand there, with the bytes of each, which only a model of
    Keras is asked for.
    """
    nested = suffix_listed(index.path).endswith(HDF5)
    places: dict[str, set[str]] = {}
    for path, names in zip(files, held, strict=True):
        for call in {call for name in names for call in _calls(name, nested)}:
            places.setdefault(call, set()).add(os.path.basename(path))
    listed: dict[str, set[str]] = {}
    lost, elsewhere = [], []
    for name, holders in index.holders.items():
        call = _call(name, places, nested)
        there, wanted = places.get(call, set()), set(holders)
        if there - wanted and wanted - there:
            elsewhere.append((f"{_in(name, wanted)}", _in(name, there)))
        elif wanted - there:
            lost.append(_in(name, wanted - there))
        listed[call] = wanted | there if wanted - there else wanted
    beyond = list(_unlisted(files, held, listed, nested))
    findings = tuple(_findings(safe(index.path, None), lost, elsewhere, beyond))
    return findings or tuple(_of_another_size(index, sum(sum(sizes.values()) for sizes in held)))


def _of_another_size(index: Index, found: int) -> Iterator[Finding]:
    """A group of Keras's that has lost one of its tensors, or has one more, is listed all the same."""
    if index.total is not None and found != index.total:
        message = f"the files of the model hold {'less' if found < index.total else 'more'} than the index says"
        because = "it lists groups of tensors: which of one is lost, or too many, it does not tell"
        severity: Severity = "error" if found < index.total else "warning"
        sizes = f"{index.total} bytes of tensors", f"{found} bytes"
        yield Finding("index", message, safe(index.path, None), *sizes, because, AGAIN, severity)


def _calls(name: str, nested: bool) -> Iterator[str]:
    """What an index may list a tensor under: its name, or in HDF5 that of a group around it."""
    yield name
    while nested and "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _call(name: str, places: Collection[str], nested: bool) -> str:
    """What the files call what is listed: a path in HDF5 may begin with a slash, or with the model's own name."""
    own = name.strip("/") if nested else name
    inner = own.partition("/")[2]
    return inner if nested and own not in places and inner in places else own


def _unlisted(
    files: Sequence[str], held: Sequence[Collection[str]], listed: dict[str, set[str]], nested: bool
) -> Iterator[str]:
    for path, names in zip(files, held, strict=True):
        file = os.path.basename(path)
        yield from (
            _in(name, {file})
            for name in sorted(names)
            if not any(file in listed.get(call, ()) for call in _calls(name, nested))
        )


def _in(name: str, files: Iterable[str]) -> str:
    return f"{safe(name, 60)} in {', '.join(safe(file) for file in sorted(files))}"


def _findings(at: str, lost: list[str], elsewhere: list[tuple[str, str]], beyond: list[str]) -> Iterator[Finding]:
    if lost:
        message = f"the index lists {counted(len(lost), 'tensor')} that no file of the model holds"
        because = "the model that was saved had more than there is here"
        yield Finding("index", message, at, expected=_shown(lost), because=because, help=AGAIN)
    if elsewhere:
        expected, found = (_shown([both[side] for both in elsewhere]) for side in (0, 1))
        message = f"{counted(len(elsewhere), 'tensor')} of the model in another file than the index lists"
        because = "a loader that goes by the index does not look there; one that loads whole files does"
        yield Finding("index", message, at, expected, found, because, AGAIN, "warning")
    if beyond:
        message = f"the files of the model hold {counted(len(beyond), 'tensor')} that the index does not list"
        because = "a loader that goes by the index leaves out what one that loads whole files takes"
        yield Finding("index", message, at, found=_shown(beyond), because=because, help=AGAIN, severity="warning")


def _shown(names: list[str]) -> str:
    more = [f"and {len(names) - MOST} more"] if len(names) > MOST else []
    return "\n".join([*names[:MOST], *more])
