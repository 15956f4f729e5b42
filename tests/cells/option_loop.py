"""One step of an LSTM with every option, by hand in NumPy, one sample at a time. Imports nothing of ours."""

import numpy as np


def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def hard_sigmoid_keras3(z):
    return np.minimum(np.maximum(z / 6 + 0.5, 0), 1)


def softsign(z):
    return z / (1 + np.abs(z))


ACTIVATIONS = {"sigmoid": sigmoid, "hard_sigmoid(1/6, 1/2)": hard_sigmoid_keras3, "softsign": softsign}
ACTIVATIONS |= {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "identity": lambda z: z}
EPSILON = {"ba": 1e-5, "tfa": 1e-3, "tf1": 1e-12, "tflite": 1e-8}


def norm(z, epsilon):
    return (z - np.mean(z)) / np.sqrt(np.var(z) + epsilon)


def held(z, bound):
    return z if bound is None else np.minimum(np.maximum(z, -bound), bound)


def step(x, h, c, w, o):
    """x (n,), h (r,), c (k,), weights by name, options by name → h and c after the step."""
    live = [g for g in "ifgo" if not (o["coupled"] and o["coupled"][0] == g)]
    ln = o["layer_norm"]
    whole = {}
    if ln in ("ba", "tfa"):
        z = norm(w["W"] @ x, EPSILON[ln]) * w["s_W"] + w["t_W"] + norm(w["U"] @ h, EPSILON[ln]) * w["s_U"] + w["t_U"]
        whole = dict(zip(live, np.split(z + w.get("b", 0), len(live)), strict=True))

    def peephole(g, new):
        seen = new if g == "o" and o["peephole_output"] == "after" else c
        return {"none": 0, "diagonal": w.get(f"p_{g}", 0) * seen}.get(
            o["peephole"], w.get(f"P_{g}", np.eye(len(c))) @ seen
        )

    def gate(g, new=None):
        see = 0 if g == "g" or o["peephole"] == "none" else peephole(g, new)
        if whole:
            z = whole[g] + see
        else:
            z = w[f"W_{g}"] @ x + w[f"U_{g}"] @ h
            if o["gate_hidden"]:
                hidden = z + sum(w.get(f"{b}{g}", 0) for b in ("b_", "b_W", "b_U"))
                z = w[f"V_{g}"] @ np.tanh(hidden) + see + w.get(f"d_{g}", 0)
            elif ln == "tf1":
                z = norm(z, EPSILON[ln]) * w[f"s_{g}"] + w[f"t_{g}"] + see
            elif ln == "tflite":
                z = norm(z + see, EPSILON[ln]) * w[f"s_{g}"] + w[f"b_{g}"]
            else:
                z = z + see + sum(w.get(f"{b}{g}", 0) for b in ("b_", "b_W", "b_U"))
        z = held(z + (o["forget_bias"] if g == "f" else 0), o["clip"])
        return ACTIVATIONS[o["candidate_activation" if g == "g" else "gate_activation"]](z)

    i = gate("i") if "i" in live else None
    f = gate("f") if "f" in live else 1 - i
    i = 1 - f if i is None else i
    stored = f * c + i * gate("g")
    if ln in ("tf1", "tfa"):
        stored = norm(stored, EPSILON[ln]) * w["s_c"] + w["t_c"]
    new = held(stored, o["clip_cell"])
    read = norm(new, EPSILON["ba"]) * w["s_c"] + w["t_c"] if ln == "ba" else new
    out = gate("o", new) * ACTIVATIONS[o["output_activation"]](read)
    if o["projection"]:
        out = w["W_proj"] @ out + w.get("b_proj", 0)
    return held(out, o["clip_projection"]), new
