"""A recurrent layer, n = 3, k = 2; written by lstm-spec 0.1.0.

    input x_t[n]
    state h[k], lambda[k]
    let run[k], y[k]
    output h, y

    run     = sigmoid(W x_t + b) * relu(U h - d) + softplus(V [h, x_t])
    y       = layer_norm(run, 1e-5) + mean(lambda) - hard_sigmoid(h, 1/5, 1/2)
    packed  = max(exp(tanh(y)), log(1 + abs(y))) / sqrt(1 + softsign(y) * softsign(y))
    lambda' = clip(packed, -3, 3) + leaky_relu(h, 0.1) + elu(lambda, 1)
    h'      = tanh(identity(lambda') - step(P^T y)) * (1 - weights)
"""

import numpy as np


def elu(z, a):
    return np.where(z > 0, z, a * np.expm1(np.minimum(z, 0)))


def hard_sigmoid(z, slope, offset):
    return np.clip(slope * z + offset, 0, 1)


def layer_norm(z, e):
    """Zero mean and unit variance over the rows; the variance is biased."""
    centred = z - z.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + e)


def leaky_relu(z, a):
    return np.where(z > 0, z, a * np.minimum(z, 0))


def mean(z):
    """Every entry the mean over the rows."""
    return np.broadcast_to(z.mean(axis=-1, keepdims=True), z.shape)


def sigmoid(z):
    """1 / (1 + exp(-z)), by an exponential that cannot overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def softsign(z):
    return z / (1 + np.abs(z))


def unit_step(z):
    """1 where z > 0, else 0."""
    return (z > 0).astype(z.dtype)


def pack(weights):
    """The weights as `run` reads them; once for many calls."""
    h_new_2 = weights["l0.P"].T
    h_new_8 = 1 - weights["l0.weights"]
    V_0_2 = weights["l0.V"][:, :2]
    V_2_5 = weights["l0.V"][:, 2:5]
    return (
        weights["l0.W"], weights["l0.b"], weights["l0.U"], weights["l0.d"], h_new_2, h_new_8, V_0_2,
        V_2_5
    )


def step(U, d, h_new_2, h_new_8, V_0_2, run_3, run_9_1, h, lambda_2):
    """One step of l0: h (B, 2), lambda (B, 2)."""
    run_2 = run_3 * np.maximum(h @ U.T - d, 0) + np.logaddexp(run_9_1 + h @ V_0_2.T, 0)
    y = layer_norm(run_2, 1e-05) + mean(lambda_2) - hard_sigmoid(h, 0.2, 0.5)
    packed_2 = (
        np.maximum(np.exp(np.tanh(y)), np.log(1 + np.abs(y))) / np.sqrt(1 + softsign(y) *
        softsign(y))
    )
    lambda_new = np.clip(packed_2, -3, 3) + leaky_relu(h, 0.1) + elu(lambda_2, 1)
    h_new = np.tanh(lambda_new - unit_step(y @ h_new_2.T)) * h_new_8
    return h_new, lambda_new, y


def run(packed, x, h, lambda_2):
    """x (T, B, 3) -> y (T, B, 4), and the states after the last step."""
    W, b, U, d, h_new_2, h_new_8, V_0_2, V_2_5 = packed
    T, B = x.shape[:2]
    run_3 = sigmoid(b + x @ W.T)
    run_9_1 = x @ V_2_5.T
    l0_y_h = np.empty((T, B, 2), x.dtype)
    l0_y_y = np.empty((T, B, 2), x.dtype)
    for t in range(T):
        h, lambda_2, y_t = step(U, d, h_new_2, h_new_8, V_0_2, run_3[t], run_9_1[t], h, lambda_2)
        l0_y_h[t] = h
        l0_y_y[t] = y_t
    return np.concatenate([l0_y_h, l0_y_y], axis=-1), h, lambda_2
