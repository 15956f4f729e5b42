"""Conventions written by hand: one step in plain NumPy, and its weights as arrays in any layout.

Imports nothing of ours. A convention is a dict; what it does not say is plain. Drawn weights are large enough that
every axis shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
GATES = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "hard_sigmoid(1/5, 1/2)": lambda z: np.clip(0.2 * z + 0.5, 0, 1),
    "hard_sigmoid(1/6, 1/2)": lambda z: np.clip(z / 6 + 0.5, 0, 1),
}
OTHERS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "softsign": lambda z: z / (1 + abs(z))}


def draw(n: int, k: int, r: int, rng: np.random.Generator, said: dict[str, Any]) -> dict[str, Any]:
    """Weights by gate: W, U, the biases, p, proj."""

    def of(*shape: int) -> np.ndarray:
        return rng.uniform(-1, 1, shape)

    alive = [g for g in "ifgo" if not (said.get("blocks") == 3 and g == dead(said))]
    return {
        "W": {g: of(k, n) for g in alive},
        "U": {g: of(k, r) for g in alive},
        "biases": [{g: of(k) for g in alive} for _ in range(said.get("bias", 1))],
        "p": {g: of(k) for g in "ifo" if g in alive} if said.get("peephole") == "vector" else {},
        "P": {g: of(k, k) for g in "ifo" if g in alive} if said.get("peephole") == "full" else {},
        "proj": of(r, k) if r != k else None,
    }


def dead(said: dict[str, Any]) -> str:
    return {"f=1-i": "f", "i=1-f": "i"}.get(said.get("coupled", ""), "")


def step(weights: dict[str, Any], x, h, c, said: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """h', c'."""
    act = GATES[said.get("gate", "sigmoid")]
    z = {g: x @ weights["W"][g].T + h @ weights["U"][g].T for g in weights["W"]}
    z = {g: z[g] + sum(b[g] for b in weights["biases"]) for g in z}

    def gate(name: str, state: np.ndarray) -> np.ndarray:
        seen = weights["p"][name] * state if name in weights["p"] else 0
        seen = state @ weights["P"][name].T if name in weights["P"] else seen
        return act(z[name] + seen + (said.get("forget", 0) if name == "f" else 0))

    i = gate("i", c) if said.get("coupled") != "i=1-f" else None
    f = 1 - i if said.get("coupled") == "f=1-i" else gate("f", c)
    i = 1 - f if i is None else i
    c1 = f * c + i * OTHERS[said.get("candidate", "tanh")](z["g"])
    out = gate("o", c if said.get("sees") == "c" else c1) * OTHERS[said.get("output", "tanh")](c1)
    return (out if weights["proj"] is None else out @ weights["proj"].T), c1


def pack(weights: dict[str, Any], said: dict[str, Any]) -> Arrays:
    """The weights as arrays, blocks in the order that is said."""
    order = said.get("order", "ifgo")
    form = said.get("form", "rows")
    joined = said.get("join")
    W, U = weights["W"], weights["U"]
    if joined:
        matrices = {"kernel": {g: np.hstack([W[g], U[g]] if joined == "xh" else [U[g], W[g]]) for g in W}}
    else:
        matrices = {"input": W, "recurrent": U}
    biases = {f"bias{number}": bias for number, bias in enumerate(weights["biases"])}
    order = [g for g in order if g in W]
    if form.startswith("apart"):
        turned = {name: form == "apart, turned" or name in said.get("turned", ()) for name in matrices}
        found = {
            f"{name}_{q}": m[g].T if turned[name] else m[g] for name, m in matrices.items() for q, g in enumerate(order)
        }
        found |= {f"{name}_{q}": b[g] for name, b in biases.items() for q, g in enumerate(order)}
    else:
        found = {name: _matrix([m[g] for g in order], form) for name, m in matrices.items()}
        found |= {name: _vector([b[g] for g in order], form) for name, b in biases.items()}
        if said.get("one array") and len(biases) == 2:
            found["bias"] = np.concatenate([found.pop("bias0"), found.pop("bias1")])
    sights = said.get("peepholes", "ifo")
    if weights["p"]:
        found["peepholes"] = _vector([weights["p"][g] for g in sights if g in weights["p"]], form)
    found |= {f"peephole_{q}": weights["P"][g] for q, g in enumerate(sights) if g in weights["P"]}
    if weights["proj"] is not None:
        found["projection"] = weights["proj"]
    if said.get("axis"):
        found = {name: array[None] for name, array in found.items()}
    return found


def _matrix(blocks: list[np.ndarray], form: str) -> np.ndarray:
    if form == "axis":
        return np.stack(blocks)
    rows = np.stack(blocks, 1).reshape(-1, blocks[0].shape[1]) if "units" in form else np.concatenate(blocks)
    return np.ascontiguousarray(rows.T) if form.startswith("columns") else rows


def _vector(blocks: list[np.ndarray], form: str) -> np.ndarray:
    if form == "axis":
        return np.stack(blocks)
    return np.stack(blocks, 1).reshape(-1) if "units" in form else np.concatenate(blocks)


def record(n: int, k: int, said: dict[str, Any], *, r: int = 0, batch: int = 3, seed: int = 0) -> tuple[Arrays, Arrays]:
    """The arrays of a convention, and one step that it computed."""
    rng = np.random.default_rng(seed)
    weights = draw(n, k, r or k, rng, said)
    x, h, c = (rng.standard_normal((batch, width)) for width in (n, r or k, k))
    h1, c1 = step(weights, x, h, c, said)
    return pack(weights, said), {"x": x, "h": h, "c": c, "h1": h1, "c1": c1}
