"""Kaldi's own nnet3 with one LSTM layer: its config, its model as text, and what it computes.

The nodes are wired as egs/wsj/s5/steps/libs/nnet3/xconfig/lstm.py says, under its names. The parameters are drawn,
written and read by Kaldi (kaldi_driver.cpp); a tensor here is named by its component, a bias by `.bias` behind it.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DRIVER = Path(__file__).with_name("kaldi_driver.cpp")
COMPONENT = re.compile(r"<ComponentName> (\S+) <(\w+)>.*?</\2>", re.DOTALL)
PARAMETERS = re.compile(r"<(LinearParams|BiasParams|Params)>\s*\[(.*?)\]", re.DOTALL)
NAME = "lstm1"


@dataclass(frozen=True)
class Sizes:
    """A layer of `kaldi` or `kaldi-fast`; r = 0 has no projection, p is its part that does not recur."""

    n: int
    k: int
    r: int = 0
    p: int = 0
    delay: int = -1
    scale: float = 1.0

    @property
    def recurrent(self) -> int:
        return self.r or self.k


def separate_config(s: Sizes) -> Iterator[str]:
    """`lstm-layer` and, with a projection, `lstmp-layer`."""
    xr = f"Append(input, IfDefined(Offset({NAME}.r_t, {s.delay})))"
    before = f"IfDefined(Offset({NAME}.c_t, {s.delay}))"
    yield f"input-node name=input dim={s.n}"
    for gate in "ifoc":
        yield _affine(f"W_{gate}.xr", s.n + s.recurrent, s.k)
    for gate, sees in zip("ifo", (before, before, f"{NAME}.c_t"), strict=True):
        yield f"component name={NAME}.w_{gate}.c type=NaturalGradientPerElementScaleComponent dim={s.k}"
        yield _component(gate, "Sigmoid", s.k)
        yield _node(f"{gate}1_t", f"W_{gate}.xr", xr)
        yield _node(f"{gate}2_t", f"w_{gate}.c", sees)
        yield _node(f"{gate}_t", gate, f"Sum({NAME}.{gate}1_t, {NAME}.{gate}2_t)")
    yield _component("g", "Tanh", s.k)
    yield _component("h", "Tanh", s.k)
    yield from (_product(name, s.k) for name in ("c1", "c2", "m"))
    yield _truncation("c", s.k, s)
    yield _node("g1_t", "W_c.xr", xr)
    yield _node("g_t", "g", f"{NAME}.g1_t")
    yield _node("c1_t", "c1", f"Append({NAME}.f_t, {before})")
    yield _node("c2_t", "c2", f"Append({NAME}.i_t, {NAME}.g_t)")
    yield _node("c_t", "c", f"Sum({NAME}.c1_t, {NAME}.c2_t)")
    yield _node("h_t", "h", f"{NAME}.c_t")
    yield _node("m_t", "m", f"Append({NAME}.o_t, {NAME}.h_t)")
    yield _truncation("r", s.recurrent, s)
    if s.r:
        yield _affine("W_rp.m", s.k, s.r + s.p)
        yield _node("rp_t", "W_rp.m", f"{NAME}.m_t")
        yield _range("r_t_preclip", "rp_t", 0, s.r)
    yield _node("r_t", "r", f"{NAME}.{'r_t_preclip' if s.r else 'm_t'}")
    yield from _outputs("rp_t" if s.r else "m_t", "c_t")


def fast_config(s: Sizes) -> Iterator[str]:
    """`fast-lstm-layer` and, with a projection, `fast-lstmp-layer`."""
    recurrent = f"{NAME}.{'r' if s.r else 'm'}_trunc"
    kept = "cr_trunc" if s.r else "cm_trunc"
    yield f"input-node name=input dim={s.n}"
    yield _affine("W_all", s.n + s.recurrent, 4 * s.k)
    yield f"component name={NAME}.lstm_nonlin type=LstmNonlinearityComponent cell-dim={s.k} use-dropout=false"
    yield _truncation(kept, s.k + s.recurrent, s)
    yield _node("W_all", "W_all", f"Append(input, IfDefined(Offset({recurrent}, {s.delay})))")
    yield _node("lstm_nonlin", "lstm_nonlin", f"Append({NAME}.W_all, IfDefined(Offset({NAME}.c_trunc, {s.delay})))")
    yield _range("c", "lstm_nonlin", 0, s.k)
    yield _range("m", "lstm_nonlin", s.k, s.k)
    if s.r:
        yield _affine("W_rp", s.k, s.r + s.p)
        yield _node("rp", "W_rp", f"{NAME}.m")
        yield _range("r", "rp", 0, s.r)
    yield _node(kept, kept, f"Append({NAME}.c, {NAME}.r)" if s.r else f"{NAME}.lstm_nonlin")
    yield _range("c_trunc", kept, 0, s.k)
    yield _range(recurrent.partition(".")[2], kept, s.k, s.recurrent)
    yield from _outputs("rp" if s.r else "m", "c")


def _affine(name: str, width: int, rows: int) -> str:
    return f"component name={NAME}.{name} type=NaturalGradientAffineComponent input-dim={width} output-dim={rows}"


def _component(name: str, kind: str, size: int) -> str:
    return f"component name={NAME}.{name} type={kind}Component dim={size}"


def _product(name: str, size: int) -> str:
    return f"component name={NAME}.{name} type=ElementwiseProductComponent input-dim={2 * size} output-dim={size}"


def _truncation(name: str, size: int, s: Sizes) -> str:
    """It clips the gradient; only its scale, from `decay-time`, is in the forward pass."""
    clipping = "clipping-threshold=30 zeroing-threshold=15 zeroing-interval=20"
    every = f"recurrence-interval={abs(s.delay)} scale={s.scale}"
    return f"{_component(name, 'BackpropTruncation', size)} {clipping} {every}"


def _node(name: str, component: str, sees: str) -> str:
    return f"component-node name={NAME}.{name} component={NAME}.{component} input={sees}"


def _range(name: str, of: str, start: int, size: int) -> str:
    return f"dim-range-node name={NAME}.{name} input-node={NAME}.{of} dim-offset={start} dim={size}"


def _outputs(y: str, c: str) -> Iterator[str]:
    """The layer's output, and its cell state to compare."""
    yield f"output-node name=output input={NAME}.{y}"
    yield f"output-node name=output-c input={NAME}.{c}"


# ---- models ----


def read_tensors(model: str) -> dict[str, np.ndarray]:
    """Every parameter of a model in Kaldi's text, under its component's name."""
    found = {}
    for component in COMPONENT.finditer(model):
        for kind, text in PARAMETERS.findall(component[0]):
            rows = [line.split() for line in text.strip().split("\n")]
            array = np.array(rows, dtype=np.float32)
            is_vector = kind == "BiasParams" or component[2] == "NaturalGradientPerElementScaleComponent"
            found[_name(component[1], kind)] = array[0] if is_vector else array
    return found


def write_tensors(model: str, tensors: Mapping[str, np.ndarray]) -> str:
    """The model with these parameters, of the same shapes; 0 for those that are not given."""

    def component(match: re.Match[str]) -> str:
        def parameter(inner: re.Match[str]) -> str:
            name = _name(match[1], inner[1])
            array = tensors.get(name, np.zeros_like(old[name]))
            assert array.shape == old[name].shape, (name, array.shape, old[name].shape)
            rows = "\n".join(" ".join(f"{x:.9g}" for x in row) for row in np.atleast_2d(array))
            return f"<{inner[1]}>  [{'' if array.ndim == 1 else chr(10)} {rows} ]"

        return PARAMETERS.sub(parameter, match[0])

    old = read_tensors(model)
    assert tensors.keys() <= old.keys(), tensors.keys() - old.keys()
    return COMPONENT.sub(component, model)


def _name(component: str, kind: str) -> str:
    return f"{component}.bias" if kind == "BiasParams" else component


# ---- running ----


def find_library() -> Path | None:
    """The shared library of the Python package vosk, which is not imported."""
    found = importlib.util.find_spec("vosk")
    beside = Path(found.origin).with_name("libvosk.so") if found and found.origin else None
    return beside if beside and beside.exists() else None


class Kaldi:
    """The driver, compiled into a folder, which its models are written to too."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._folder, self._driver = folder, folder / "kaldi_driver"
        # Kaldi was built with the strings of GCC 4
        language = ("-std=c++17", "-O1", "-D_GLIBCXX_USE_CXX11_ABI=0")
        linked = (str(library), f"-Wl,-rpath,{library.parent}")
        subprocess.run([shutil.which("g++"), *language, str(DRIVER), "-o", str(self._driver), *linked], check=True)

    def make(self, config: Iterator[str]) -> str:
        """A model with the parameters that Kaldi draws."""
        source, model = self._folder / "config", self._folder / "drawn"
        source.write_text("\n".join(config) + "\n")
        self._call("", "init", source, model)
        return model.read_text()

    def run(self, model: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The output and the cell state at every step, `(T, B, ·)`, for `x (T, B, n)`; the states before it are 0."""
        written = self._folder / "model"
        written.write_text(model)
        by_sample = x.swapaxes(0, 1)
        numbers = " ".join(f"{a:.9g}" for a in by_sample.ravel())
        words = self._call(" ".join(map(str, by_sample.shape)) + "\n" + numbers, "run", written, "output", "output-c")
        found = []
        while words:
            shape = tuple(map(int, words[:3]))
            end = 3 + int(np.prod(shape))
            array = np.array(words[3:end], dtype=np.float32).reshape(shape)
            found.append(np.ascontiguousarray(array.swapaxes(0, 1)))
            words = words[end:]
        return found[0], found[1]

    def _call(self, text: str, *arguments: object) -> list[str]:
        done = subprocess.run(
            [str(self._driver), *map(str, arguments)], input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()
