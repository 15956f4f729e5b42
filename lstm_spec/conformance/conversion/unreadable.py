"""Why a tensor's numbers are not to be had, where its shape is: the file beside it is gone, it is a meta tensor, …

A dtype that NumPy has not is one reason among several, and only blamed where it is the one.
"""

from __future__ import annotations

from collections.abc import Iterable

from lstm_spec.conformance.recognition.readings import Reading, place
from lstm_spec.errors import Finding, TensorError, safe
from lstm_spec.frameworks import is_known_to_numpy
from lstm_spec.layers.tensors import Tensor, Tensors
from lstm_spec.phrases import begun


def hold_readable(reading: Reading, tensors: Tensors) -> None:
    """Raises TensorError, with the reason, when a tensor of a reading has no numbers."""
    without = [tensors[name] for name in (*reading.names.values(), *reading.constants) if tensors[name].load is None]
    if without:
        because, help = _why(without, tensors)
        names = begun(without, 5, lambda tensor: safe(tensor.name, 60))
        message = f"the values of {names} cannot be read"
        raise TensorError(Finding("values", message, place(tensors, reading.where), because=because, help=help))


def _why(without: Iterable[Tensor], tensors: Tensors) -> tuple[str, str]:
    live = tensors.format in ("torch", "arrays")  # where bfloat16 is read
    strange = dict.fromkeys(
        t.dtype for t in without if not is_known_to_numpy(t.dtype) and not (live and t.dtype == "bfloat16")
    )
    missing = [finding for finding in tensors.findings if finding.code == "external"]
    if strange:
        return f"they are {', '.join(map(safe, strange))}, which is not read here", ""
    if missing and any(tensor.outside for tensor in without):
        return "; ".join(finding.message for finding in missing), missing[0].help
    if live:
        return "a meta tensor has a shape and no values", "load the weights first"
    return "the source gives their shapes alone", ""
