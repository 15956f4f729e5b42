"""A Keras file → `Tensors`: `.keras` archives, `.weights.h5`, and HDF5 files of Keras 1, 2 and 3.

The archive's members are held against a list of four names; the configuration is read as data, the weights by our own
walk. Keras is not imported, nothing is unpacked to disk, and code that the model holds is not even decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from typing import Any
from zipfile import ZipInfo

from lstm_spec.checkpoints.archives import KNOWN_FLAGS, METHODS, check_places, opened_member, read_directory
from lstm_spec.checkpoints.files import File, malformed
from lstm_spec.checkpoints.hdf5.datasets import MAX_TEXT, Contents, Source, walk
from lstm_spec.checkpoints.hdf5.values import Values
from lstm_spec.checkpoints.json_data import parse_json
from lstm_spec.checkpoints.keras.config import Configuration, Described, read_configuration
from lstm_spec.checkpoints.keras.names import LISTS, Part, find_parts, in_model_order, match_parts, name_datasets
from lstm_spec.checkpoints.shapes import check_count
from lstm_spec.errors import Finding, safe
from lstm_spec.layers.tensors import Flow, Operator, Tensor, Tensors

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
MEMBERS = re.compile(rf"{re.escape(METADATA)}|{re.escape(CONFIG)}|{re.escape(WEIGHTS)}|assets/[^\\]*", re.DOTALL)
BACKWARD = {"backward_layer", "backward"}  # of `backward_lstm_1` the first word
TEXTS = ("model_config", "keras_version", "name")
VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){0,3}[-+.\w]{0,20}")


def read_hdf5(file: File, stream: BufferedReader) -> Tensors:
    """The arrays of an HDF5 file; those of a Keras model as its configuration, if it is there, says what they are.

    Raises Malformed when the file leads out of itself or does not hold what it names.
    """
    return join_hdf5([walk_hdf5(file, stream)])


def walk_hdf5(file: File, stream: BufferedReader) -> tuple[Source, Contents]:
    """What lies in one HDF5 file, which may be a part of a model. Raises Malformed when it leads out of itself."""
    source = Source(file)
    with source.opened(stream) as opened:
        return source, walk(opened, TEXTS, LISTS)


def join_hdf5(parts: Sequence[tuple[Source, Contents]]) -> Tensors:
    """The model whose parts some files hold: Keras 3 parts it between any two variables, those of one cell too.

    Raises Malformed when two files hold datasets of one name.
    """
    contents, sources = _joined(parts)
    said = {**contents.attributes.get("", {}), **contents.attributes.get("model_weights", {})}
    version = check_version(said.get("keras_version", ""))
    config = (
        parse_json(said["model_config"].encode("utf-8", "surrogateescape"), "model_config")
        if "model_config" in said
        else {}
    )
    origin = safe(parts[0][0].file.path, None) + (f" and {len(parts) - 1} more" if len(parts) > 1 else "")
    return _tensors(origin, "hdf5", contents, sources, read_configuration(config, version), bool(config))


def _joined(parts: Sequence[tuple[Source, Contents]]) -> tuple[Contents, dict[str, Source]]:
    """The contents of all files as those of one, and where each dataset lies; what an earlier one says goes first."""
    contents, sources = Contents(), dict[str, Source]()
    for source, own in parts:
        for path, dataset in own.datasets.items():
            if path in sources:
                raise malformed("names", f"two shards hold {safe(path, 60)}", found=safe(source.file.path, None))
            contents.datasets[path], sources[path] = dataset, source
        for group, texts in own.attributes.items():
            contents.attributes[group] = {**texts, **contents.attributes.get(group, {})}
        for group, lists in own.lists.items():
            known = contents.lists.get(group, {})
            contents.lists[group] = {**known, **{name: (*known.get(name, ()), *more) for name, more in lists.items()}}
    return contents, sources


def read_keras(file: File, stream: BufferedReader) -> Tensors:
    """The weights of a `.keras` archive. Raises Malformed when a member is not what Keras writes."""
    members = {info.filename: info for info in check_members(read_directory(stream), file.size)}
    if absent := [name for name in (METADATA, CONFIG, WEIGHTS) if name not in members]:
        raise malformed("archive", f"the archive has no {absent[0]}", expected=f"{METADATA}, {CONFIG} and {WEIGHTS}")
    metadata = parse_json(_text(stream, members[METADATA]), METADATA)
    version = check_version(metadata.get("keras_version", ""))
    config = read_configuration(parse_json(_text(stream, members[CONFIG]), CONFIG), version)
    source = Source(file, members[WEIGHTS])
    with source.opened(stream) as opened:
        contents = walk(opened, TEXTS, LISTS)
    sources = dict.fromkeys(contents.datasets, source)
    return _tensors(safe(file.path, None), "keras", contents, sources, config, True)


def check_members(members: list[ZipInfo], size: int) -> list[ZipInfo]:
    """The members themselves. Raises Malformed for another name than Keras gives, a name twice, or a bomb."""
    check_count(len(members))
    seen: set[str] = set()
    for info in members:
        name = info.orig_filename
        refused = ""
        if name in seen:
            raise malformed("duplicate", f"the archive holds {safe(name)} twice")
        if name != info.filename or not MEMBERS.fullmatch(name) or ".." in name.split("/"):
            refused = f"a Keras archive has {METADATA}, {CONFIG}, {WEIGHTS} and assets/"
        elif info.flag_bits & ~KNOWN_FLAGS:
            refused = "it is encrypted or has unknown flags"
        elif info.compress_type not in METHODS:
            refused = "it is neither stored nor deflated"
        if refused:
            raise malformed("archive", f"the member {safe(name)} is refused", because=refused)
        seen.add(name)
    check_places(members, size)
    return members


def _text(stream: BufferedReader, info: ZipInfo) -> bytes:
    """A small member, unpacked no further than it may be long, whatever size it claims."""
    with opened_member(stream, info) as member:
        data = member.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise malformed("too-large", f"the member {safe(info.filename)} is too long", expected=f"{MAX_TEXT} bytes")
    return data


def check_version(version: Any) -> str:
    """`2.2.4-tf`; empty when the file does not say. Raises Malformed for what is no version."""
    if version == "" or (type(version) is str and VERSION.fullmatch(version)):
        return str(version)
    raise malformed("config", "keras_version is no version", expected="such as 2.15.0", found=safe(version, 60))


def _tensors(
    origin: str,
    format: str,
    contents: Contents,
    sources: Mapping[str, Source],
    config: Configuration,
    configured: bool,
) -> Tensors:
    named = name_datasets(contents)
    parts = find_parts(named, contents)
    matched = match_parts(parts, config.layers)
    if not contents.lists:
        parts = in_model_order(parts, matched, config.layers)
    first = dict.fromkeys(name for part in parts for name in part.parameters.values())
    tensors = {
        name: Tensor(name, d.shape, d.dtype, Values(sources[d.path], d) if d.is_float else None)
        for name, d in {name: named[name] for name in (*first, *named)}.items()
    }
    operators = tuple(_operator(part, matched[part.where]) for part in parts if part.where in matched)
    operators += tuple(_turned(part) for part in parts if part.where not in matched and BACKWARD & set(part.classes))
    findings = (*_not_evaluated(config, origin), *_unmatched(parts, matched, config, origin))
    claimed = {id(layer) for layer in matched.values()}
    if configured and claimed == {id(layer) for layer in config.layers}:  # every layer of Keras has its tensors
        findings += tuple(_of_another_class(part, origin) for part in parts if part.where not in matched)
    wired = tuple(_in_turn(parts, matched))
    listed = tuple(part.where for part in parts if contents.lists)
    flow = Flow((wired or listed,), wired=bool(wired), listed=True)
    return Tensors(origin, format, tensors, operators, findings, flow=flow)


def _in_turn(parts: Iterable[Part], matched: Mapping[str, Described]) -> Iterator[str]:
    """The cells as data runs through them, where the configuration says it."""
    turns = {part.where: matched[part.where].turn for part in parts if part.where in matched}
    said = [(turn, where) for where, turn in turns.items() if turn is not None]
    yield from (where for _, where in sorted(said, key=lambda pair: pair[0]))


def _of_another_class(part: Part, origin: str) -> Finding:
    """A configuration names every class; a cell that is of none that Keras has may compute anything."""
    message = (
        f"{safe(part.where, 60)} has a cell's tensors, and the configuration has no recurrent layer of Keras for it"
    )
    because = "a class of somebody's own is code that the file does not hold: it may compute something else"
    return Finding("unmatched", message, origin, because=because, severity="warning")


def _operator(part: Part, layer: Described) -> Operator:
    declared = {} if layer.declared is None else {"X": layer.declared}
    return Operator(layer.kind, part.where, part.parameters, layer.attributes, declared=declared)


def _turned(part: Part) -> Operator:
    """The second half of a Bidirectional that no configuration tells of: its name tells the direction."""
    return Operator("LSTM", part.where, part.parameters, {"go_backwards": True})


def _not_evaluated(config: Configuration, origin: str) -> Iterator[Finding]:
    if counts := config.not_evaluated:
        shown = ", ".join(f"{number} {kind}" for kind, number in counts.items())
        because = "what they compute is code that the file holds; only tensors are read here"
        message = f"the model has parts that are present and not evaluated: {shown}"
        yield Finding("not-evaluated", message, origin, because=because, severity="note")


def _unmatched(
    parts: tuple[Part, ...], matched: Mapping[str, Described], config: Configuration, origin: str
) -> Iterator[Finding]:
    """A configured layer without tensors is missing them; beside tensors that no layer claims, it may be theirs."""
    used = {id(layer) for layer in matched.values()}
    left = [layer for layer in config.layers if id(layer) not in used and not layer.kind.startswith("Conv")]
    unclaimed = [part.where for part in parts if part.where not in matched]
    for layer in left:
        name = safe("/".join(layer.names))
        if unclaimed:
            message = f"the configuration has a layer {name}, and it is open which tensors are its"
            found = ", ".join(safe(where, 60) for where in unclaimed[:5])
            help = "its options are not held against any tensors"
            yield Finding("unmatched", message, origin, found=found, help=help, severity="warning")
        else:
            message = f"the configuration has a layer {name}, and the file has no tensors of it"
            yield Finding("missing", message, origin, expected=f"kernel and recurrent_kernel of {layer.kind} {name}")
