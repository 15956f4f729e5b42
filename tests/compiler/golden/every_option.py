"""A recurrent layer, n = 3, r = 2, k = 4, 2 layers, both; written by lstm-spec 0.1.0.

    input x[n]
    state h[r], c[k]

    i  = 1 - f
    f  = sigmoid(W_f x + b_Wf + U_f h + b_Uf + p_f * c + 1)
    g  = tanh(W_g x + b_Wg + U_g h + b_Ug)
    o  = sigmoid(W_o x + b_Wo + U_o h + b_Uo + p_o * c')
    c' = f * c + i * g
    h' = W_proj (o * tanh(c'))
"""

import numpy as np


def sigmoid(z):
    """1 / (1 + exp(-z)), by an exponential that cannot overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def pack(weights):
    """The weights as `run` reads them; once for many calls."""
    l0_b = np.concatenate([
        weights["l0.b_Wf"] + weights["l0.b_Uf"] + 1, weights["l0.b_Wo"] + weights["l0.b_Uo"],
        weights["l0.b_Wg"] + weights["l0.b_Ug"],
    ], axis=0)
    l0_W = np.concatenate([weights["l0.W_f"], weights["l0.W_o"], weights["l0.W_g"]], axis=0)
    l0_U = np.concatenate([weights["l0.U_f"], weights["l0.U_o"], weights["l0.U_g"]], axis=0)
    l0_reverse_b = np.concatenate([
        weights["l0.reverse.b_Wf"] + weights["l0.reverse.b_Uf"] + 1, weights["l0.reverse.b_Wo"] +
        weights["l0.reverse.b_Uo"], weights["l0.reverse.b_Wg"] + weights["l0.reverse.b_Ug"],
    ], axis=0)
    l0_reverse_W = np.concatenate([
        weights["l0.reverse.W_f"], weights["l0.reverse.W_o"], weights["l0.reverse.W_g"],
    ], axis=0)
    l0_reverse_U = np.concatenate([
        weights["l0.reverse.U_f"], weights["l0.reverse.U_o"], weights["l0.reverse.U_g"],
    ], axis=0)
    l1_b = np.concatenate([
        weights["l1.b_Wf"] + weights["l1.b_Uf"] + 1, weights["l1.b_Wo"] + weights["l1.b_Uo"],
        weights["l1.b_Wg"] + weights["l1.b_Ug"],
    ], axis=0)
    l1_W = np.concatenate([weights["l1.W_f"], weights["l1.W_o"], weights["l1.W_g"]], axis=0)
    l1_U = np.concatenate([weights["l1.U_f"], weights["l1.U_o"], weights["l1.U_g"]], axis=0)
    l1_reverse_b = np.concatenate([
        weights["l1.reverse.b_Wf"] + weights["l1.reverse.b_Uf"] + 1, weights["l1.reverse.b_Wo"] +
        weights["l1.reverse.b_Uo"], weights["l1.reverse.b_Wg"] + weights["l1.reverse.b_Ug"],
    ], axis=0)
    l1_reverse_W = np.concatenate([
        weights["l1.reverse.W_f"], weights["l1.reverse.W_o"], weights["l1.reverse.W_g"],
    ], axis=0)
    l1_reverse_U = np.concatenate([
        weights["l1.reverse.U_f"], weights["l1.reverse.U_o"], weights["l1.reverse.U_g"],
    ], axis=0)
    return (
        weights["l0.p_f"], weights["l0.p_o"], weights["l0.W_proj"], weights["l0.reverse.p_f"],
        weights["l0.reverse.p_o"], weights["l0.reverse.W_proj"], weights["l1.p_f"],
        weights["l1.p_o"], weights["l1.W_proj"], weights["l1.reverse.p_f"],
        weights["l1.reverse.p_o"], weights["l1.reverse.W_proj"], l0_b, l0_W, l0_U, l0_reverse_b,
        l0_reverse_W, l0_reverse_U, l1_b, l1_W, l1_U, l1_reverse_b, l1_reverse_W, l1_reverse_U
    )


def step_l0(p_f, p_o, W_proj, U, z_x, h, c):
    """One step of l0: h (B, 2), c (B, 4)."""
    z = z_x + h @ U.T
    f = sigmoid(z[..., :4] + p_f * c)
    i = 1 - f
    g = np.tanh(z[..., 8:12])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:8] + p_o * c_new)
    h_new = (o * np.tanh(c_new)) @ W_proj.T
    return h_new, c_new


def step_l0_reverse(p_f, p_o, W_proj, U, z_x, h, c):
    """One step of l0.reverse: h (B, 2), c (B, 4)."""
    z = z_x + h @ U.T
    f = sigmoid(z[..., :4] + p_f * c)
    i = 1 - f
    g = np.tanh(z[..., 8:12])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:8] + p_o * c_new)
    h_new = (o * np.tanh(c_new)) @ W_proj.T
    return h_new, c_new


def step_l1(p_f, p_o, W_proj, U, z_y, h, c):
    """One step of l1: h (B, 2), c (B, 4)."""
    z = z_y + h @ U.T
    f = sigmoid(z[..., :4] + p_f * c)
    i = 1 - f
    g = np.tanh(z[..., 8:12])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:8] + p_o * c_new)
    h_new = (o * np.tanh(c_new)) @ W_proj.T
    return h_new, c_new


def step_l1_reverse(p_f, p_o, W_proj, U, z_x, h, c):
    """One step of l1.reverse: h (B, 2), c (B, 4)."""
    z = z_x + h @ U.T
    f = sigmoid(z[..., :4] + p_f * c)
    i = 1 - f
    g = np.tanh(z[..., 8:12])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:8] + p_o * c_new)
    h_new = (o * np.tanh(c_new)) @ W_proj.T
    return h_new, c_new


def run(packed, x, l0_h, l0_c, l0_reverse_h, l0_reverse_c, l1_h, l1_c, l1_reverse_h, l1_reverse_c):
    """x (T, B, 3) -> y (T, B, 4), and the states after the last step."""
    (
        l0_p_f, l0_p_o, l0_W_proj, l0_reverse_p_f, l0_reverse_p_o, l0_reverse_W_proj, l1_p_f,
        l1_p_o, l1_W_proj, l1_reverse_p_f, l1_reverse_p_o, l1_reverse_W_proj, l0_b, l0_W, l0_U,
        l0_reverse_b, l0_reverse_W, l0_reverse_U, l1_b, l1_W, l1_U, l1_reverse_b, l1_reverse_W,
        l1_reverse_U
    ) = packed
    T, B = x.shape[:2]
    l0_z_x = l0_b + x @ l0_W.T
    l0_reverse_z_x = l0_reverse_b + x[::-1] @ l0_reverse_W.T
    l0_y_h = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l0_h, l0_c = step_l0(l0_p_f, l0_p_o, l0_W_proj, l0_U, l0_z_x[t], l0_h, l0_c)
        l0_y_h[t] = l0_h
    l0_reverse_y_h = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l0_reverse_h, l0_reverse_c = step_l0_reverse(
            l0_reverse_p_f, l0_reverse_p_o, l0_reverse_W_proj, l0_reverse_U, l0_reverse_z_x[t],
            l0_reverse_h, l0_reverse_c,
        )
        l0_reverse_y_h[t] = l0_reverse_h
    l0_y = np.concatenate([l0_y_h, l0_reverse_y_h[::-1]], axis=-1)
    l1_z_y = l1_b + l0_y @ l1_W.T
    l1_reverse_z_x = l1_reverse_b + l0_y[::-1] @ l1_reverse_W.T
    l1_y_h = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l1_h, l1_c = step_l1(l1_p_f, l1_p_o, l1_W_proj, l1_U, l1_z_y[t], l1_h, l1_c)
        l1_y_h[t] = l1_h
    l1_reverse_y_h = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l1_reverse_h, l1_reverse_c = step_l1_reverse(
            l1_reverse_p_f, l1_reverse_p_o, l1_reverse_W_proj, l1_reverse_U, l1_reverse_z_x[t],
            l1_reverse_h, l1_reverse_c,
        )
        l1_reverse_y_h[t] = l1_reverse_h
    return (
        np.concatenate([l1_y_h, l1_reverse_y_h[::-1]], axis=-1), l0_h, l0_c, l0_reverse_h,
        l0_reverse_c, l1_h, l1_c, l1_reverse_h, l1_reverse_c
    )
