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


def outer_sum(u, v):
    """The sum of u v^T over time and batch, as one product."""
    return u.reshape(-1, u.shape[-1]).T @ v.reshape(-1, v.shape[-1])


def shift(z, initial):
    """What was before each step: the initial value, then z without its last."""
    return np.concatenate([initial[None], z])[: len(z)]


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


pack_gradient = pack  # both read the same


def step_saving(U, z_x, h, c):
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
    return h_new, c_new, i, f, g, o


def step_back(U, d_y, e_c_factor, d_o_factor, d_g_factor, d_f_factor, d_i_factor, f_all, d_h, d_c):
    """One step back of l0: d_h (B, k), d_c (B, k)."""
    e_h = d_y + d_h
    e_c = d_c + e_h * e_c_factor
    d_z = np.concatenate([
        e_c * d_i_factor, e_c * d_f_factor, e_h * d_o_factor, e_c * d_g_factor,
    ], axis=-1)
    d_h_new = d_z @ U
    d_c_new = e_c * f_all
    return d_h_new, d_c_new, d_z


def gradient(packed, x, d_y, h, c, d_h, d_c):
    """x (T, B, n), the gradient of y (T, B, k) -> y, states, d_x, d_weights, d_states."""
    b, W, U = packed
    T, B = x.shape[:2]
    k = h.shape[-1]
    h_first = h
    c_first = c
    z_x = b + x @ W.T
    y = np.empty((T, B, k), x.dtype)
    c_new_all = np.empty((T, B, k), x.dtype)
    i_all = np.empty((T, B, k), x.dtype)
    f_all = np.empty((T, B, k), x.dtype)
    g_all = np.empty((T, B, k), x.dtype)
    o_all = np.empty((T, B, k), x.dtype)
    for t in range(T):
        h, c, i_t, f_t, g_t, o_t = step_saving(U, z_x[t], h, c)
        y[t] = h
        c_new_all[t] = c
        i_all[t] = i_t
        f_all[t] = f_t
        g_all[t] = g_t
        o_all[t] = o_t
    tanh_c = np.tanh(c_new_all)
    e_c_factor = o_all * (1 - tanh_c * tanh_c)
    d_o_factor = tanh_c * o_all * (1 - o_all)
    d_g_factor = i_all * (1 - g_all * g_all)
    d_f_factor = shift(c_new_all, c_first) * f_all * (1 - f_all)
    d_i_factor = g_all * i_all * (1 - i_all)
    d_z_all = np.empty((T, B, 4 * k), x.dtype)
    for t in reversed(range(T)):
        d_h, d_c, d_z_t = step_back(
            U, d_y[t], e_c_factor[t], d_o_factor[t], d_g_factor[t], d_f_factor[t], d_i_factor[t],
            f_all[t], d_h, d_c,
        )
        d_z_all[t] = d_z_t
    d_W = outer_sum(d_z_all, x)
    d_U = outer_sum(d_z_all, shift(y, h_first))
    d_b = d_z_all.sum(axis=(0, 1))
    d_weights = {
        "l0.W_i": d_W[:k],
        "l0.U_i": d_U[:k],
        "l0.b_i": d_b[..., :k],
        "l0.W_f": d_W[k:2 * k],
        "l0.U_f": d_U[k:2 * k],
        "l0.b_f": d_b[..., k:2 * k],
        "l0.W_g": d_W[3 * k:4 * k],
        "l0.U_g": d_U[3 * k:4 * k],
        "l0.b_g": d_b[..., 3 * k:4 * k],
        "l0.W_o": d_W[2 * k:3 * k],
        "l0.U_o": d_U[2 * k:3 * k],
        "l0.b_o": d_b[..., 2 * k:3 * k],
    }
    return y, [h, c], d_z_all @ W, d_weights, [d_h, d_c]
