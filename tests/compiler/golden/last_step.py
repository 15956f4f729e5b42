"""A recurrent layer, n = 3, k = 4, both; written by lstm-spec 0.1.0.

    input x[n]
    state h[k], c[k]

    i  = sigmoid(W_i x + U_i h + b_i)
    f  = 1 - i
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
    l0_b = np.concatenate([weights["l0.b_i"], weights["l0.b_o"], weights["l0.b_g"]], axis=0)
    l0_W = np.concatenate([weights["l0.W_i"], weights["l0.W_o"], weights["l0.W_g"]], axis=0)
    l0_U = np.concatenate([weights["l0.U_i"], weights["l0.U_o"], weights["l0.U_g"]], axis=0)
    l0_reverse_b = np.concatenate([
        weights["l0.reverse.b_i"], weights["l0.reverse.b_o"], weights["l0.reverse.b_g"],
    ], axis=0)
    l0_reverse_W = np.concatenate([
        weights["l0.reverse.W_i"], weights["l0.reverse.W_o"], weights["l0.reverse.W_g"],
    ], axis=0)
    l0_reverse_U = np.concatenate([
        weights["l0.reverse.U_i"], weights["l0.reverse.U_o"], weights["l0.reverse.U_g"],
    ], axis=0)
    return l0_b, l0_W, l0_U, l0_reverse_b, l0_reverse_W, l0_reverse_U


def step_l0(U, z_x, h, c):
    """One step of l0: h (B, 4), c (B, 4)."""
    z = z_x + h @ U.T
    s = sigmoid(z[..., :8])
    i = s[..., :4]
    o = s[..., 4:8]
    f = 1 - i
    g = np.tanh(z[..., 8:12])
    c_new = f * c + i * g
    h_new = o * np.tanh(c_new)
    return h_new, c_new


def step_l0_reverse(U, z_x, h, c):
    """One step of l0.reverse: h (B, 4), c (B, 4)."""
    z = z_x + h @ U.T
    s = sigmoid(z[..., :8])
    i = s[..., :4]
    o = s[..., 4:8]
    f = 1 - i
    g = np.tanh(z[..., 8:12])
    c_new = f * c + i * g
    h_new = o * np.tanh(c_new)
    return h_new, c_new


def run(packed, x, l0_h, l0_c, l0_reverse_h, l0_reverse_c):
    """x (T, B, 3) -> y (B, 8), the last step, and the states after the last step."""
    l0_b, l0_W, l0_U, l0_reverse_b, l0_reverse_W, l0_reverse_U = packed
    T, B = x.shape[:2]
    l0_z_x = l0_b + x @ l0_W.T
    l0_reverse_z_x = l0_reverse_b + x[::-1] @ l0_reverse_W.T
    for t in range(T):
        l0_h, l0_c = step_l0(l0_U, l0_z_x[t], l0_h, l0_c)
    for t in range(T):
        l0_reverse_h, l0_reverse_c = step_l0_reverse(
            l0_reverse_U, l0_reverse_z_x[t], l0_reverse_h, l0_reverse_c,
        )
    return np.concatenate([l0_h, l0_reverse_h], axis=-1), l0_h, l0_c, l0_reverse_h, l0_reverse_c
