"""A recurrent layer; written by lstm-spec 0.1.0.

    input x[n]
    state h[k]

    h' = tanh(W [h, x] + b)
"""

import numpy as np


def pack(weights):
    """The weights as `run` reads them; once for many calls."""
    k = weights["l0.W"].shape[-2]
    n = weights["l0.W"].shape[-1] - k
    W_0_k = weights["l0.W"][:, :k]
    W_k_k_n = weights["l0.W"][:, k:k + n]
    return weights["l0.b"], W_0_k, W_k_k_n


def step(W_0_k, h_new_3_1, h):
    """One step of l0: h (B, k)."""
    h_new = np.tanh(h_new_3_1 + h @ W_0_k.T)
    return h_new


def run(packed, x, h):
    """x (T, B, n) -> y (T, B, k), and the states after the last step."""
    b, W_0_k, W_k_k_n = packed
    T, B = x.shape[:2]
    k = h.shape[-1]
    h_new_3_1 = b + x @ W_k_k_n.T
    y = np.empty((T, B, k), x.dtype)
    for t in range(T):
        h = step(W_0_k, h_new_3_1[t], h)
        y[t] = h
    return y, h
