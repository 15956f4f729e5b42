"""A recurrent layer, n = 3, k = 2, 2 layers, both; written by lstm-spec 0.1.0.

    input x[n]
    state h[k], c[k]

    i  = sigmoid(W_i x + U_i h + p_i * c + b_i)
    f  = sigmoid(W_f x + U_f h + p_f * c + b_f)
    g  = tanh(W_g x + U_g h + b_g)
    o  = sigmoid(W_o x + U_o h + p_o * c' + b_o)
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
    l0_b = np.concatenate([
        weights["l0.b_i"], weights["l0.b_f"], weights["l0.b_o"], weights["l0.b_g"],
    ], axis=0)
    l0_W = np.concatenate([
        weights["l0.W_i"], weights["l0.W_f"], weights["l0.W_o"], weights["l0.W_g"],
    ], axis=0)
    l0_U = np.concatenate([
        weights["l0.U_i"], weights["l0.U_f"], weights["l0.U_o"], weights["l0.U_g"],
    ], axis=0)
    l0_reverse_b = np.concatenate([
        weights["l0.reverse.b_i"], weights["l0.reverse.b_f"], weights["l0.reverse.b_o"],
        weights["l0.reverse.b_g"],
    ], axis=0)
    l0_reverse_W = np.concatenate([
        weights["l0.reverse.W_i"], weights["l0.reverse.W_f"], weights["l0.reverse.W_o"],
        weights["l0.reverse.W_g"],
    ], axis=0)
    l0_reverse_U = np.concatenate([
        weights["l0.reverse.U_i"], weights["l0.reverse.U_f"], weights["l0.reverse.U_o"],
        weights["l0.reverse.U_g"],
    ], axis=0)
    l1_b = np.concatenate([
        weights["l1.b_i"], weights["l1.b_f"], weights["l1.b_o"], weights["l1.b_g"],
    ], axis=0)
    l1_W = np.concatenate([
        weights["l1.W_i"], weights["l1.W_f"], weights["l1.W_o"], weights["l1.W_g"],
    ], axis=0)
    l1_U = np.concatenate([
        weights["l1.U_i"], weights["l1.U_f"], weights["l1.U_o"], weights["l1.U_g"],
    ], axis=0)
    l1_reverse_b = np.concatenate([
        weights["l1.reverse.b_i"], weights["l1.reverse.b_f"], weights["l1.reverse.b_o"],
        weights["l1.reverse.b_g"],
    ], axis=0)
    l1_reverse_W = np.concatenate([
        weights["l1.reverse.W_i"], weights["l1.reverse.W_f"], weights["l1.reverse.W_o"],
        weights["l1.reverse.W_g"],
    ], axis=0)
    l1_reverse_U = np.concatenate([
        weights["l1.reverse.U_i"], weights["l1.reverse.U_f"], weights["l1.reverse.U_o"],
        weights["l1.reverse.U_g"],
    ], axis=0)
    return (
        weights["l0.p_i"], weights["l0.p_f"], weights["l0.p_o"], weights["l0.reverse.p_i"],
        weights["l0.reverse.p_f"], weights["l0.reverse.p_o"], weights["l1.p_i"], weights["l1.p_f"],
        weights["l1.p_o"], weights["l1.reverse.p_i"], weights["l1.reverse.p_f"],
        weights["l1.reverse.p_o"], l0_b, l0_W, l0_U, l0_reverse_b, l0_reverse_W, l0_reverse_U, l1_b,
        l1_W, l1_U, l1_reverse_b, l1_reverse_W, l1_reverse_U
    )


def step_l0(p_i, p_f, p_o, U, z_x, h, c):
    """One step of l0: h (B, 2), c (B, 2)."""
    z = z_x + h @ U.T
    f = sigmoid(z[..., 2:4] + p_f * c)
    i = sigmoid(z[..., :2] + p_i * c)
    g = np.tanh(z[..., 6:8])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:6] + p_o * c_new)
    h_new = o * np.tanh(c_new)
    return h_new, c_new


def step_l0_reverse(p_i, p_f, p_o, U, z_x, h, c):
    """One step of l0.reverse: h (B, 2), c (B, 2)."""
    z = z_x + h @ U.T
    f = sigmoid(z[..., 2:4] + p_f * c)
    i = sigmoid(z[..., :2] + p_i * c)
    g = np.tanh(z[..., 6:8])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:6] + p_o * c_new)
    h_new = o * np.tanh(c_new)
    return h_new, c_new


def step_l1(p_i, p_f, p_o, U, z_y, h, c):
    """One step of l1: h (B, 2), c (B, 2)."""
    z = z_y + h @ U.T
    f = sigmoid(z[..., 2:4] + p_f * c)
    i = sigmoid(z[..., :2] + p_i * c)
    g = np.tanh(z[..., 6:8])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:6] + p_o * c_new)
    h_new = o * np.tanh(c_new)
    return h_new, c_new


def step_l1_reverse(p_i, p_f, p_o, U, z_x, h, c):
    """One step of l1.reverse: h (B, 2), c (B, 2)."""
    z = z_x + h @ U.T
    f = sigmoid(z[..., 2:4] + p_f * c)
    i = sigmoid(z[..., :2] + p_i * c)
    g = np.tanh(z[..., 6:8])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:6] + p_o * c_new)
    h_new = o * np.tanh(c_new)
    return h_new, c_new


def run(packed, x, l0_h, l0_c, l0_reverse_h, l0_reverse_c, l1_h, l1_c, l1_reverse_h, l1_reverse_c):
    """x (T, B, 3) -> y (T, B, 4), and the states after the last step."""
    (
        l0_p_i, l0_p_f, l0_p_o, l0_reverse_p_i, l0_reverse_p_f, l0_reverse_p_o, l1_p_i, l1_p_f,
        l1_p_o, l1_reverse_p_i, l1_reverse_p_f, l1_reverse_p_o, l0_b, l0_W, l0_U, l0_reverse_b,
        l0_reverse_W, l0_reverse_U, l1_b, l1_W, l1_U, l1_reverse_b, l1_reverse_W, l1_reverse_U
    ) = packed
    T, B = x.shape[:2]
    l0_z_x = l0_b + x @ l0_W.T
    l0_reverse_z_x = l0_reverse_b + x[::-1] @ l0_reverse_W.T
    l0_y_h = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l0_h, l0_c = step_l0(l0_p_i, l0_p_f, l0_p_o, l0_U, l0_z_x[t], l0_h, l0_c)
        l0_y_h[t] = l0_h
    l0_reverse_y_h = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l0_reverse_h, l0_reverse_c = step_l0_reverse(
            l0_reverse_p_i, l0_reverse_p_f, l0_reverse_p_o, l0_reverse_U, l0_reverse_z_x[t],
            l0_reverse_h, l0_reverse_c,
        )
        l0_reverse_y_h[t] = l0_reverse_h
    l0_y = np.concatenate([l0_y_h, l0_reverse_y_h[::-1]], axis=-1)
    l1_z_y = l1_b + l0_y @ l1_W.T
    l1_reverse_z_x = l1_reverse_b + l0_y[::-1] @ l1_reverse_W.T
    l1_y_h = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l1_h, l1_c = step_l1(l1_p_i, l1_p_f, l1_p_o, l1_U, l1_z_y[t], l1_h, l1_c)
        l1_y_h[t] = l1_h
    l1_reverse_y_h = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l1_reverse_h, l1_reverse_c = step_l1_reverse(
            l1_reverse_p_i, l1_reverse_p_f, l1_reverse_p_o, l1_reverse_U, l1_reverse_z_x[t],
            l1_reverse_h, l1_reverse_c,
        )
        l1_reverse_y_h[t] = l1_reverse_h
    return (
        np.concatenate([l1_y_h, l1_reverse_y_h[::-1]], axis=-1), l0_h, l0_c, l0_reverse_h,
        l0_reverse_c, l1_h, l1_c, l1_reverse_h, l1_reverse_c
    )


pack_gradient = pack  # both read the same


def step_saving_l0(p_i, p_f, p_o, U, z_x, h, c):
    """One step of l0: h (B, 2), c (B, 2)."""
    z = z_x + h @ U.T
    f = sigmoid(z[..., 2:4] + p_f * c)
    i = sigmoid(z[..., :2] + p_i * c)
    g = np.tanh(z[..., 6:8])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:6] + p_o * c_new)
    h_new = o * np.tanh(c_new)
    return h_new, c_new, i, f, g, o


def step_saving_l0_reverse(p_i, p_f, p_o, U, z_x, h, c):
    """One step of l0.reverse: h (B, 2), c (B, 2)."""
    z = z_x + h @ U.T
    f = sigmoid(z[..., 2:4] + p_f * c)
    i = sigmoid(z[..., :2] + p_i * c)
    g = np.tanh(z[..., 6:8])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:6] + p_o * c_new)
    h_new = o * np.tanh(c_new)
    return h_new, c_new, i, f, g, o


def step_saving_l1(p_i, p_f, p_o, U, z_y, h, c):
    """One step of l1: h (B, 2), c (B, 2)."""
    z = z_y + h @ U.T
    f = sigmoid(z[..., 2:4] + p_f * c)
    i = sigmoid(z[..., :2] + p_i * c)
    g = np.tanh(z[..., 6:8])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:6] + p_o * c_new)
    h_new = o * np.tanh(c_new)
    return h_new, c_new, i, f, g, o


def step_saving_l1_reverse(p_i, p_f, p_o, U, z_x, h, c):
    """One step of l1.reverse: h (B, 2), c (B, 2)."""
    z = z_x + h @ U.T
    f = sigmoid(z[..., 2:4] + p_f * c)
    i = sigmoid(z[..., :2] + p_i * c)
    g = np.tanh(z[..., 6:8])
    c_new = f * c + i * g
    o = sigmoid(z[..., 4:6] + p_o * c_new)
    h_new = o * np.tanh(c_new)
    return h_new, c_new, i, f, g, o


def step_back_l1(
    p_i, p_f, p_o, U, l1_d_y, d_o_factor, e_c_factor, d_g_factor, d_f_factor, d_i_factor, f_all,
    d_h, d_c,
):
    """One step back of l1: d_h (B, 2), d_c (B, 2)."""
    e_h = l1_d_y + d_h
    d_o = e_h * d_o_factor
    e_c = d_c + d_o * p_o + e_h * e_c_factor
    d_f = e_c * d_f_factor
    d_i = e_c * d_i_factor
    d_z = np.concatenate([d_i, d_f, d_o, e_c * d_g_factor], axis=-1)
    d_h_new = d_z @ U
    d_c_new = d_i * p_i + d_f * p_f + e_c * f_all
    return d_h_new, d_c_new, d_i, d_f, d_o, d_z


def step_back_l1_reverse(
    p_i, p_f, p_o, U, l1_reverse_d_y_h_turned, d_o_factor, e_c_factor, d_g_factor, d_f_factor,
    d_i_factor, f_all, d_h, d_c,
):
    """One step back of l1.reverse: d_h (B, 2), d_c (B, 2)."""
    e_h = l1_reverse_d_y_h_turned + d_h
    d_o = e_h * d_o_factor
    e_c = d_c + d_o * p_o + e_h * e_c_factor
    d_f = e_c * d_f_factor
    d_i = e_c * d_i_factor
    d_z = np.concatenate([d_i, d_f, d_o, e_c * d_g_factor], axis=-1)
    d_h_new = d_z @ U
    d_c_new = d_i * p_i + d_f * p_f + e_c * f_all
    return d_h_new, d_c_new, d_i, d_f, d_o, d_z


def step_back_l0(
    p_i, p_f, p_o, U, l0_d_y, d_o_factor, e_c_factor, d_g_factor, d_f_factor, d_i_factor, f_all,
    d_h, d_c,
):
    """One step back of l0: d_h (B, 2), d_c (B, 2)."""
    e_h = l0_d_y + d_h
    d_o = e_h * d_o_factor
    e_c = d_c + d_o * p_o + e_h * e_c_factor
    d_f = e_c * d_f_factor
    d_i = e_c * d_i_factor
    d_z = np.concatenate([d_i, d_f, d_o, e_c * d_g_factor], axis=-1)
    d_h_new = d_z @ U
    d_c_new = d_i * p_i + d_f * p_f + e_c * f_all
    return d_h_new, d_c_new, d_i, d_f, d_o, d_z


def step_back_l0_reverse(
    p_i, p_f, p_o, U, l0_reverse_d_y_h_turned, d_o_factor, e_c_factor, d_g_factor, d_f_factor,
    d_i_factor, f_all, d_h, d_c,
):
    """One step back of l0.reverse: d_h (B, 2), d_c (B, 2)."""
    e_h = l0_reverse_d_y_h_turned + d_h
    d_o = e_h * d_o_factor
    e_c = d_c + d_o * p_o + e_h * e_c_factor
    d_f = e_c * d_f_factor
    d_i = e_c * d_i_factor
    d_z = np.concatenate([d_i, d_f, d_o, e_c * d_g_factor], axis=-1)
    d_h_new = d_z @ U
    d_c_new = d_i * p_i + d_f * p_f + e_c * f_all
    return d_h_new, d_c_new, d_i, d_f, d_o, d_z


def gradient(
    packed, x, d_y, l0_h, l0_c, l0_reverse_h, l0_reverse_c, l1_h, l1_c, l1_reverse_h, l1_reverse_c,
    l0_d_h, l0_d_c, l0_reverse_d_h, l0_reverse_d_c, l1_d_h, l1_d_c, l1_reverse_d_h, l1_reverse_d_c,
):
    """x (T, B, 3), the gradient of y (T, B, 4) -> y, states, d_x, d_weights, d_states."""
    (
        l0_p_i, l0_p_f, l0_p_o, l0_reverse_p_i, l0_reverse_p_f, l0_reverse_p_o, l1_p_i, l1_p_f,
        l1_p_o, l1_reverse_p_i, l1_reverse_p_f, l1_reverse_p_o, l0_b, l0_W, l0_U, l0_reverse_b,
        l0_reverse_W, l0_reverse_U, l1_b, l1_W, l1_U, l1_reverse_b, l1_reverse_W, l1_reverse_U
    ) = packed
    T, B = x.shape[:2]
    l1_h_first = l1_h
    l1_c_first = l1_c
    l1_reverse_h_first = l1_reverse_h
    l1_reverse_c_first = l1_reverse_c
    l0_h_first = l0_h
    l0_c_first = l0_c
    l0_reverse_h_first = l0_reverse_h
    l0_reverse_c_first = l0_reverse_c
    l0_reverse_x = x[::-1]
    l0_z_x = l0_b + x @ l0_W.T
    l0_reverse_z_x = l0_reverse_b + l0_reverse_x @ l0_reverse_W.T
    l0_y_h = np.empty((T, B, 2), x.dtype)
    l0_c_new_all = np.empty((T, B, 2), x.dtype)
    l0_i_all = np.empty((T, B, 2), x.dtype)
    l0_f_all = np.empty((T, B, 2), x.dtype)
    l0_g_all = np.empty((T, B, 2), x.dtype)
    l0_o_all = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l0_h, l0_c, l0_i_t, l0_f_t, l0_g_t, l0_o_t = step_saving_l0(
            l0_p_i, l0_p_f, l0_p_o, l0_U, l0_z_x[t], l0_h, l0_c,
        )
        l0_y_h[t] = l0_h
        l0_c_new_all[t] = l0_c
        l0_i_all[t] = l0_i_t
        l0_f_all[t] = l0_f_t
        l0_g_all[t] = l0_g_t
        l0_o_all[t] = l0_o_t
    l0_reverse_y_h = np.empty((T, B, 2), x.dtype)
    l0_reverse_c_new_all = np.empty((T, B, 2), x.dtype)
    l0_reverse_i_all = np.empty((T, B, 2), x.dtype)
    l0_reverse_f_all = np.empty((T, B, 2), x.dtype)
    l0_reverse_g_all = np.empty((T, B, 2), x.dtype)
    l0_reverse_o_all = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l0_reverse_h, l0_reverse_c, l0_reverse_i_t, l0_reverse_f_t, l0_reverse_g_t, l0_reverse_o_t = step_saving_l0_reverse(
            l0_reverse_p_i, l0_reverse_p_f, l0_reverse_p_o, l0_reverse_U, l0_reverse_z_x[t],
            l0_reverse_h, l0_reverse_c,
        )
        l0_reverse_y_h[t] = l0_reverse_h
        l0_reverse_c_new_all[t] = l0_reverse_c
        l0_reverse_i_all[t] = l0_reverse_i_t
        l0_reverse_f_all[t] = l0_reverse_f_t
        l0_reverse_g_all[t] = l0_reverse_g_t
        l0_reverse_o_all[t] = l0_reverse_o_t
    l0_y = np.concatenate([l0_y_h, l0_reverse_y_h[::-1]], axis=-1)
    l1_reverse_x = l0_y[::-1]
    l1_z_y = l1_b + l0_y @ l1_W.T
    l1_reverse_z_x = l1_reverse_b + l1_reverse_x @ l1_reverse_W.T
    l1_y_h = np.empty((T, B, 2), x.dtype)
    l1_c_new_all = np.empty((T, B, 2), x.dtype)
    l1_i_all = np.empty((T, B, 2), x.dtype)
    l1_f_all = np.empty((T, B, 2), x.dtype)
    l1_g_all = np.empty((T, B, 2), x.dtype)
    l1_o_all = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l1_h, l1_c, l1_i_t, l1_f_t, l1_g_t, l1_o_t = step_saving_l1(
            l1_p_i, l1_p_f, l1_p_o, l1_U, l1_z_y[t], l1_h, l1_c,
        )
        l1_y_h[t] = l1_h
        l1_c_new_all[t] = l1_c
        l1_i_all[t] = l1_i_t
        l1_f_all[t] = l1_f_t
        l1_g_all[t] = l1_g_t
        l1_o_all[t] = l1_o_t
    l1_reverse_y_h = np.empty((T, B, 2), x.dtype)
    l1_reverse_c_new_all = np.empty((T, B, 2), x.dtype)
    l1_reverse_i_all = np.empty((T, B, 2), x.dtype)
    l1_reverse_f_all = np.empty((T, B, 2), x.dtype)
    l1_reverse_g_all = np.empty((T, B, 2), x.dtype)
    l1_reverse_o_all = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        l1_reverse_h, l1_reverse_c, l1_reverse_i_t, l1_reverse_f_t, l1_reverse_g_t, l1_reverse_o_t = step_saving_l1_reverse(
            l1_reverse_p_i, l1_reverse_p_f, l1_reverse_p_o, l1_reverse_U, l1_reverse_z_x[t],
            l1_reverse_h, l1_reverse_c,
        )
        l1_reverse_y_h[t] = l1_reverse_h
        l1_reverse_c_new_all[t] = l1_reverse_c
        l1_reverse_i_all[t] = l1_reverse_i_t
        l1_reverse_f_all[t] = l1_reverse_f_t
        l1_reverse_g_all[t] = l1_reverse_g_t
        l1_reverse_o_all[t] = l1_reverse_o_t
    l1_d_y = d_y[..., :2]
    l1_reverse_d_y_h_turned = d_y[..., 2:4][::-1]
    l1_c_before = shift(l1_c_new_all, l1_c_first)
    l1_reverse_c_before = shift(l1_reverse_c_new_all, l1_reverse_c_first)
    l1_tanh_c = np.tanh(l1_c_new_all)
    l1_d_o_factor = l1_tanh_c * l1_o_all * (1 - l1_o_all)
    l1_e_c_factor = l1_o_all * (1 - l1_tanh_c * l1_tanh_c)
    l1_d_g_factor = l1_i_all * (1 - l1_g_all * l1_g_all)
    l1_d_f_factor = l1_c_before * l1_f_all * (1 - l1_f_all)
    l1_d_i_factor = l1_g_all * l1_i_all * (1 - l1_i_all)
    l1_reverse_tanh_c = np.tanh(l1_reverse_c_new_all)
    l1_reverse_d_o_factor = l1_reverse_tanh_c * l1_reverse_o_all * (1 - l1_reverse_o_all)
    l1_reverse_e_c_factor = l1_reverse_o_all * (1 - l1_reverse_tanh_c * l1_reverse_tanh_c)
    l1_reverse_d_g_factor = l1_reverse_i_all * (1 - l1_reverse_g_all * l1_reverse_g_all)
    l1_reverse_d_f_factor = l1_reverse_c_before * l1_reverse_f_all * (1 - l1_reverse_f_all)
    l1_reverse_d_i_factor = l1_reverse_g_all * l1_reverse_i_all * (1 - l1_reverse_i_all)
    l1_d_i_all = np.empty((T, B, 2), x.dtype)
    l1_d_f_all = np.empty((T, B, 2), x.dtype)
    l1_d_o_all = np.empty((T, B, 2), x.dtype)
    l1_d_z_all = np.empty((T, B, 8), x.dtype)
    for t in reversed(range(T)):
        l1_d_h, l1_d_c, l1_d_i_t, l1_d_f_t, l1_d_o_t, l1_d_z_t = step_back_l1(
            l1_p_i, l1_p_f, l1_p_o, l1_U, l1_d_y[t], l1_d_o_factor[t], l1_e_c_factor[t],
            l1_d_g_factor[t], l1_d_f_factor[t], l1_d_i_factor[t], l1_f_all[t], l1_d_h, l1_d_c,
        )
        l1_d_i_all[t] = l1_d_i_t
        l1_d_f_all[t] = l1_d_f_t
        l1_d_o_all[t] = l1_d_o_t
        l1_d_z_all[t] = l1_d_z_t
    l1_reverse_d_i_all = np.empty((T, B, 2), x.dtype)
    l1_reverse_d_f_all = np.empty((T, B, 2), x.dtype)
    l1_reverse_d_o_all = np.empty((T, B, 2), x.dtype)
    l1_reverse_d_z_all = np.empty((T, B, 8), x.dtype)
    for t in reversed(range(T)):
        l1_reverse_d_h, l1_reverse_d_c, l1_reverse_d_i_t, l1_reverse_d_f_t, l1_reverse_d_o_t, l1_reverse_d_z_t = step_back_l1_reverse(
            l1_reverse_p_i, l1_reverse_p_f, l1_reverse_p_o, l1_reverse_U,
            l1_reverse_d_y_h_turned[t], l1_reverse_d_o_factor[t], l1_reverse_e_c_factor[t],
            l1_reverse_d_g_factor[t], l1_reverse_d_f_factor[t], l1_reverse_d_i_factor[t],
            l1_reverse_f_all[t], l1_reverse_d_h, l1_reverse_d_c,
        )
        l1_reverse_d_i_all[t] = l1_reverse_d_i_t
        l1_reverse_d_f_all[t] = l1_reverse_d_f_t
        l1_reverse_d_o_all[t] = l1_reverse_d_o_t
        l1_reverse_d_z_all[t] = l1_reverse_d_z_t
    l1_d_W = outer_sum(l1_d_z_all, l0_y)
    l1_d_U = outer_sum(l1_d_z_all, shift(l1_y_h, l1_h_first))
    l1_d_b = l1_d_z_all.sum(axis=(0, 1))
    l1_reverse_d_W = outer_sum(l1_reverse_d_z_all, l1_reverse_x)
    l1_reverse_d_U = outer_sum(l1_reverse_d_z_all, shift(l1_reverse_y_h, l1_reverse_h_first))
    l1_reverse_d_b = l1_reverse_d_z_all.sum(axis=(0, 1))
    l1_d_x_both = l1_d_z_all @ l1_W + (l1_reverse_d_z_all @ l1_reverse_W)[::-1]
    l0_d_y = l1_d_x_both[..., :2]
    l0_reverse_d_y_h_turned = l1_d_x_both[..., 2:4][::-1]
    l0_c_before = shift(l0_c_new_all, l0_c_first)
    l0_reverse_c_before = shift(l0_reverse_c_new_all, l0_reverse_c_first)
    l0_tanh_c = np.tanh(l0_c_new_all)
    l0_d_o_factor = l0_tanh_c * l0_o_all * (1 - l0_o_all)
    l0_e_c_factor = l0_o_all * (1 - l0_tanh_c * l0_tanh_c)
    l0_d_g_factor = l0_i_all * (1 - l0_g_all * l0_g_all)
    l0_d_f_factor = l0_c_before * l0_f_all * (1 - l0_f_all)
    l0_d_i_factor = l0_g_all * l0_i_all * (1 - l0_i_all)
    l0_reverse_tanh_c = np.tanh(l0_reverse_c_new_all)
    l0_reverse_d_o_factor = l0_reverse_tanh_c * l0_reverse_o_all * (1 - l0_reverse_o_all)
    l0_reverse_e_c_factor = l0_reverse_o_all * (1 - l0_reverse_tanh_c * l0_reverse_tanh_c)
    l0_reverse_d_g_factor = l0_reverse_i_all * (1 - l0_reverse_g_all * l0_reverse_g_all)
    l0_reverse_d_f_factor = l0_reverse_c_before * l0_reverse_f_all * (1 - l0_reverse_f_all)
    l0_reverse_d_i_factor = l0_reverse_g_all * l0_reverse_i_all * (1 - l0_reverse_i_all)
    l0_d_i_all = np.empty((T, B, 2), x.dtype)
    l0_d_f_all = np.empty((T, B, 2), x.dtype)
    l0_d_o_all = np.empty((T, B, 2), x.dtype)
    l0_d_z_all = np.empty((T, B, 8), x.dtype)
    for t in reversed(range(T)):
        l0_d_h, l0_d_c, l0_d_i_t, l0_d_f_t, l0_d_o_t, l0_d_z_t = step_back_l0(
            l0_p_i, l0_p_f, l0_p_o, l0_U, l0_d_y[t], l0_d_o_factor[t], l0_e_c_factor[t],
            l0_d_g_factor[t], l0_d_f_factor[t], l0_d_i_factor[t], l0_f_all[t], l0_d_h, l0_d_c,
        )
        l0_d_i_all[t] = l0_d_i_t
        l0_d_f_all[t] = l0_d_f_t
        l0_d_o_all[t] = l0_d_o_t
        l0_d_z_all[t] = l0_d_z_t
    l0_reverse_d_i_all = np.empty((T, B, 2), x.dtype)
    l0_reverse_d_f_all = np.empty((T, B, 2), x.dtype)
    l0_reverse_d_o_all = np.empty((T, B, 2), x.dtype)
    l0_reverse_d_z_all = np.empty((T, B, 8), x.dtype)
    for t in reversed(range(T)):
        l0_reverse_d_h, l0_reverse_d_c, l0_reverse_d_i_t, l0_reverse_d_f_t, l0_reverse_d_o_t, l0_reverse_d_z_t = step_back_l0_reverse(
            l0_reverse_p_i, l0_reverse_p_f, l0_reverse_p_o, l0_reverse_U,
            l0_reverse_d_y_h_turned[t], l0_reverse_d_o_factor[t], l0_reverse_e_c_factor[t],
            l0_reverse_d_g_factor[t], l0_reverse_d_f_factor[t], l0_reverse_d_i_factor[t],
            l0_reverse_f_all[t], l0_reverse_d_h, l0_reverse_d_c,
        )
        l0_reverse_d_i_all[t] = l0_reverse_d_i_t
        l0_reverse_d_f_all[t] = l0_reverse_d_f_t
        l0_reverse_d_o_all[t] = l0_reverse_d_o_t
        l0_reverse_d_z_all[t] = l0_reverse_d_z_t
    l0_d_W = outer_sum(l0_d_z_all, x)
    l0_d_U = outer_sum(l0_d_z_all, shift(l0_y_h, l0_h_first))
    l0_d_b = l0_d_z_all.sum(axis=(0, 1))
    l0_reverse_d_W = outer_sum(l0_reverse_d_z_all, l0_reverse_x)
    l0_reverse_d_U = outer_sum(l0_reverse_d_z_all, shift(l0_reverse_y_h, l0_reverse_h_first))
    l0_reverse_d_b = l0_reverse_d_z_all.sum(axis=(0, 1))
    d_weights = {
        "l0.W_i": l0_d_W[:2],
        "l0.U_i": l0_d_U[:2],
        "l0.p_i": (l0_d_i_all * l0_c_before).sum(axis=(0, 1)),
        "l0.b_i": l0_d_b[..., :2],
        "l0.W_f": l0_d_W[2:4],
        "l0.U_f": l0_d_U[2:4],
        "l0.p_f": (l0_d_f_all * l0_c_before).sum(axis=(0, 1)),
        "l0.b_f": l0_d_b[..., 2:4],
        "l0.W_g": l0_d_W[6:8],
        "l0.U_g": l0_d_U[6:8],
        "l0.b_g": l0_d_b[..., 6:8],
        "l0.W_o": l0_d_W[4:6],
        "l0.U_o": l0_d_U[4:6],
        "l0.p_o": (l0_d_o_all * l0_c_new_all).sum(axis=(0, 1)),
        "l0.b_o": l0_d_b[..., 4:6],
        "l0.reverse.W_i": l0_reverse_d_W[:2],
        "l0.reverse.U_i": l0_reverse_d_U[:2],
        "l0.reverse.p_i": (l0_reverse_d_i_all * l0_reverse_c_before).sum(axis=(0, 1)),
        "l0.reverse.b_i": l0_reverse_d_b[..., :2],
        "l0.reverse.W_f": l0_reverse_d_W[2:4],
        "l0.reverse.U_f": l0_reverse_d_U[2:4],
        "l0.reverse.p_f": (l0_reverse_d_f_all * l0_reverse_c_before).sum(axis=(0, 1)),
        "l0.reverse.b_f": l0_reverse_d_b[..., 2:4],
        "l0.reverse.W_g": l0_reverse_d_W[6:8],
        "l0.reverse.U_g": l0_reverse_d_U[6:8],
        "l0.reverse.b_g": l0_reverse_d_b[..., 6:8],
        "l0.reverse.W_o": l0_reverse_d_W[4:6],
        "l0.reverse.U_o": l0_reverse_d_U[4:6],
        "l0.reverse.p_o": (l0_reverse_d_o_all * l0_reverse_c_new_all).sum(axis=(0, 1)),
        "l0.reverse.b_o": l0_reverse_d_b[..., 4:6],
        "l1.W_i": l1_d_W[:2],
        "l1.U_i": l1_d_U[:2],
        "l1.p_i": (l1_d_i_all * l1_c_before).sum(axis=(0, 1)),
        "l1.b_i": l1_d_b[..., :2],
        "l1.W_f": l1_d_W[2:4],
        "l1.U_f": l1_d_U[2:4],
        "l1.p_f": (l1_d_f_all * l1_c_before).sum(axis=(0, 1)),
        "l1.b_f": l1_d_b[..., 2:4],
        "l1.W_g": l1_d_W[6:8],
        "l1.U_g": l1_d_U[6:8],
        "l1.b_g": l1_d_b[..., 6:8],
        "l1.W_o": l1_d_W[4:6],
        "l1.U_o": l1_d_U[4:6],
        "l1.p_o": (l1_d_o_all * l1_c_new_all).sum(axis=(0, 1)),
        "l1.b_o": l1_d_b[..., 4:6],
        "l1.reverse.W_i": l1_reverse_d_W[:2],
        "l1.reverse.U_i": l1_reverse_d_U[:2],
        "l1.reverse.p_i": (l1_reverse_d_i_all * l1_reverse_c_before).sum(axis=(0, 1)),
        "l1.reverse.b_i": l1_reverse_d_b[..., :2],
        "l1.reverse.W_f": l1_reverse_d_W[2:4],
        "l1.reverse.U_f": l1_reverse_d_U[2:4],
        "l1.reverse.p_f": (l1_reverse_d_f_all * l1_reverse_c_before).sum(axis=(0, 1)),
        "l1.reverse.b_f": l1_reverse_d_b[..., 2:4],
        "l1.reverse.W_g": l1_reverse_d_W[6:8],
        "l1.reverse.U_g": l1_reverse_d_U[6:8],
        "l1.reverse.b_g": l1_reverse_d_b[..., 6:8],
        "l1.reverse.W_o": l1_reverse_d_W[4:6],
        "l1.reverse.U_o": l1_reverse_d_U[4:6],
        "l1.reverse.p_o": (l1_reverse_d_o_all * l1_reverse_c_new_all).sum(axis=(0, 1)),
        "l1.reverse.b_o": l1_reverse_d_b[..., 4:6],
    }
    return (
        np.concatenate([l1_y_h, l1_reverse_y_h[::-1]], axis=-1), [l0_h, l0_c, l0_reverse_h,
        l0_reverse_c, l1_h, l1_c, l1_reverse_h, l1_reverse_c], l0_d_z_all @ l0_W +
        (l0_reverse_d_z_all @ l0_reverse_W)[::-1], d_weights, [l0_d_h, l0_d_c, l0_reverse_d_h,
        l0_reverse_d_c, l1_d_h, l1_d_c, l1_reverse_d_h, l1_reverse_d_c]
    )
