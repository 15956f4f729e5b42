"""A recurrent layer, n = 3, k = 2; written by lstm-spec 0.1.0.

    input x[n]
    state h[k], c[k]

    c' = tanh(W x + U h) + c
    h' = c'
"""

import numpy as np


def pack(weights):
    """The weights as `run` reads them; once for many calls."""
    return weights["l0.W"], weights["l0.U"]


def step(U, c_new_1, h, c):
    """One step of l0: h (B, 2), c (B, 2)."""
    c_new = np.tanh(c_new_1 + h @ U.T) + c
    return c_new


def run(packed, x, h, c):
    """x (T, B, 3) -> y (T, B, 2), and the states after the last step."""
    W, U = packed
    T, B = x.shape[:2]
    c_new_1 = x @ W.T
    y = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        h = step(U, c_new_1[t], h, c)
        c = h
        y[t] = h
    return y, h, c
