"""A recurrent layer; written by lstm-spec 0.1.0.

    input x[n]
    state h[k], c[k]

    i  = sigmoid(W_i x + U_i h + b_i)
    f  = sigmoid(W_f x + U_f h + b_f)
    g  = tanh(W_g x + U_g h + b_g)
    o  = sigmoid(W_o x + U_o h + b_o)
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
    b = np.concatenate([
        weights["l0.b_i"], weights["l0.b_f"], weights["l0.b_o"], weights["l0.b_g"],
    ], axis=0)
    W = np.concatenate([
        weights["l0.W_i"], weights["l0.W_f"], weights["l0.W_o"], weights["l0.W_g"],
    ], axis=0)
    U = np.concatenate([
        weights["l0.U_i"], weights["l0.U_f"], weights["l0.U_o"], weights["l0.U_g"],
    ], axis=0)
    return b, W, U


def step(U, z_x, h, c):
    """One step of l0: h (B, k), c (B, k)."""
    k = h.shape[-1]
    z = z_x + h @ U.T
    s = sigmoid(z[..., :3 * k])
    i = s[..., :k]
    f = s[..., k:2 * k]
    o = s[..., 2 * k:3 * k]
    g = np.tanh(z[..., 3 * k:4 * k])
    c_new = f * c + i * g
    h_new = o * np.tanh(c_new)
    return h_new, c_new


def run(packed, x, h, c):
    """x (T, B, n) -> y (T, B, k), and the states after the last step."""
    b, W, U = packed
    T, B = x.shape[:2]
    k = h.shape[-1]
    z_x = b + x @ W.T
    y = np.empty((T, B, k), x.dtype)
    for t in range(T):
        h, c = step(U, z_x[t], h, c)
        y[t] = h
    return y, h, c
