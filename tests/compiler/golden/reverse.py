"""A recurrent layer, n = 3, k = 2, reverse; written by lstm-spec 0.1.0.

    input x[n]
    state h[k], c[k]

    i  = sigmoid(W_i x + U_i h)
    f  = sigmoid(W_f x + U_f h)
    g  = tanh(W_g x + U_g h)
    o  = sigmoid(W_o x + U_o h)
    c' = f * c + i * g
    h' = o * tanh(c')
"""

import numpy as np


def sigmoid(z):
    """1 / (1 + exp(-z)), by an exponential that cannot overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def pack(weights):
    """The weights as `run` reads them; once for many calls."""
    W = np.concatenate([
        weights["l0.reverse.W_i"], weights["l0.reverse.W_f"], weights["l0.reverse.W_o"],
        weights["l0.reverse.W_g"],
    ], axis=0)
    U = np.concatenate([
        weights["l0.reverse.U_i"], weights["l0.reverse.U_f"], weights["l0.reverse.U_o"],
        weights["l0.reverse.U_g"],
    ], axis=0)
    return W, U


def step(U, W_x, h, c):
    """One step of l0.reverse: h (B, 2), c (B, 2)."""
    z = W_x + h @ U.T
    s = sigmoid(z[..., :6])
    i = s[..., :2]
    f = s[..., 2:4]
    o = s[..., 4:6]
    g = np.tanh(z[..., 6:8])
    c_new = f * c + i * g
    h_new = o * np.tanh(c_new)
    return h_new, c_new


def run(packed, x, h, c):
    """x (T, B, 3) -> y (T, B, 2), and the states after the last step."""
    W, U = packed
    T, B = x.shape[:2]
    W_x = x[::-1] @ W.T
    y = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        h, c = step(U, W_x[t], h, c)
        y[t] = h
    return y, h, c
