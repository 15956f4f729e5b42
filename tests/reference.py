"""An LSTM over time in plain NumPy, one sample after the other: the oracle. Imports nothing of ours."""

import numpy as np


def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))  # 1 / (1 + exp(-z)), and never too large on the way


def lstm(x, W, U, h, c, *, biases=(), p=None, proj=None, coupled=None, forget=0.0, reverse=False, realign=True):
    """x (T, B, n), h (B, r), c (B, k) → y (T, B, r), h, c.

    W, U and each of `biases` are dicts by gate (i, f, g, o); the gate that is coupled is in none of them. `p` are
    peepholes by gate, `proj` (r, k) projects, `forget` is added in f, `coupled` is "f=1-i", "i=1-f" or None.
    """
    h, c, p = h.copy(), c.copy(), p or {}
    y = np.empty((len(x), *h.shape), x.dtype)
    for step in range(len(x)):
        t = len(x) - 1 - step if reverse else step
        for s in range(x.shape[1]):
            z = {gate: W[gate] @ x[t, s] + U[gate] @ h[s] for gate in W}
            for bias in biases:
                z = {gate: z[gate] + bias[gate] for gate in z}
            if "f" in z:
                z["f"] = z["f"] + forget
            before = {gate: z[gate] + p[gate] * c[s] if gate in p else z[gate] for gate in z}
            i = sigmoid(before["i"]) if "i" in z else None
            f = sigmoid(before["f"]) if "f" in z else None
            if coupled == "f=1-i":
                f = 1 - i
            elif coupled == "i=1-f":
                i = 1 - f
            c[s] = f * c[s] + i * np.tanh(z["g"])
            o = sigmoid(z["o"] + p["o"] * c[s] if "o" in p else z["o"])
            out = o * np.tanh(c[s])
            h[s] = out if proj is None else proj @ out
            y[t if realign else step, s] = h[s]
    return y, h, c
