"""A recurrent layer, n = 3, k = 2; written by lstm-spec 0.1.0.

    input x[n]
    state c[k]
    let m[k]
    output c, m

    m  = b * b
    c' = tanh(V [m, c] + W x)
"""

import numpy as np


def spread(b, x):
    """The weights b for every sample of x."""
    return np.broadcast_to(b, x.shape[:-1] + b.shape)


def pack(weights):
    """The weights as `run` reads them; once for many calls."""
    V_0_2 = weights["l0.V"][:, :2]
    V_2_4 = weights["l0.V"][:, 2:4]
    m = weights["l0.b"] * weights["l0.b"]
    return weights["l0.W"], V_0_2, V_2_4, m


def step(V_2_4, c_new_4_1, m_spread, c):
    """One step of l0: c (B, 2)."""
    c_new = np.tanh(c_new_4_1 + c @ V_2_4.T)
    return c_new, m_spread


def run(packed, x, c):
    """x (T, B, 3) -> y (T, B, 4), and the states after the last step."""
    W, V_0_2, V_2_4, m = packed
    T, B = x.shape[:2]
    m_spread = spread(m, x)
    c_new_4_1 = m_spread @ V_0_2.T + x @ W.T
    l0_y_c = np.empty((T, B, 2), x.dtype)
    l0_y_m = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        c, m_spread_t = step(V_2_4, c_new_4_1[t], m_spread[t], c)
        l0_y_c[t] = c
        l0_y_m[t] = m_spread_t
    return np.concatenate([l0_y_c, l0_y_m], axis=-1), c
