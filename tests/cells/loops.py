"""Every cell of the catalogue by hand in plain NumPy, one sample and one step at a time. Imports nothing of ours.

Each is written from the paper's own equations, with its own order of terms; only the parameters' names are the
catalogue's. A step takes parameters `w`, one input `x` and the state `s`, and returns the output and the next state.
"""

import numpy as np


def sigma(z):
    return 1 / (1 + np.exp(-z))


def run(step, w, x, state):
    """x (T, B, n) and each state (B, width) → y (T, B, width of y), and the states after the last step."""
    samples = []
    for b in range(x.shape[1]):
        s, outputs = {name: array[b] for name, array in state.items()}, []
        for t in range(len(x)):
            y, s = step(w, x[t, b], s)
            outputs.append(y)
        samples.append((np.array(outputs), s))
    return (
        np.stack([y for y, _ in samples], axis=1),
        {name: np.stack([s[name] for _, s in samples]) for name in state},
    )


def net(w, gate, x, h):
    """W x + U h + b of one gate."""
    return w["W_" + gate] @ x + w["U_" + gate] @ h + w["b_" + gate]


def elman(w, x, s):
    h = np.tanh(w["W"] @ x + w["U"] @ s["h"] + w["b"])
    return h, {"h": h}


def hochreiter1997(w, x, s):
    y_in, y_out = sigma(net(w, "i", x, s["h"])), sigma(net(w, "o", x, s["h"]))
    g = 4 / (1 + np.exp(-net(w, "g", x, s["h"]))) - 2
    c = s["c"] + y_in * g
    h = y_out * (2 / (1 + np.exp(-c)) - 1)
    return h, {"h": h, "c": c}


def gers2000(w, x, s):
    i, f, o = (sigma(net(w, gate, x, s["h"])) for gate in "ifo")
    c = f * s["c"] + i * np.tanh(net(w, "g", x, s["h"]))
    h = o * np.tanh(c)
    return h, {"h": h, "c": c}


def gers2002(w, x, s):
    i = sigma(net(w, "i", x, s["h"]) + w["p_i"] * s["c"])
    f = sigma(net(w, "f", x, s["h"]) + w["p_f"] * s["c"])
    c = f * s["c"] + i * np.tanh(net(w, "g", x, s["h"]))
    o = sigma(net(w, "o", x, s["h"]) + w["p_o"] * c)
    h = o * c
    return h, {"h": h, "c": c}


def graves2013(w, x, s):
    i = sigma(np.diag(w["p_i"]) @ s["c"] + net(w, "i", x, s["h"]))  # eq. 7: a diagonal matrix
    f = sigma(np.diag(w["p_f"]) @ s["c"] + net(w, "f", x, s["h"]))  # 8
    c = f * s["c"] + i * np.tanh(net(w, "g", x, s["h"]))  # 9
    o = sigma(np.diag(w["p_o"]) @ c + net(w, "o", x, s["h"]))  # 10
    h = o * np.tanh(c)  # 11
    return h, {"h": h, "c": c}


def sak2014(w, x, s):
    i = sigma(net(w, "i", x, s["h"]) + w["p_i"] * s["c"])
    f = sigma(net(w, "f", x, s["h"]) + w["p_f"] * s["c"])
    c = f * s["c"] + i * np.tanh(net(w, "g", x, s["h"]))
    o = sigma(net(w, "o", x, s["h"]) + w["p_o"] * c)
    m = o * np.tanh(c)
    r = w["W_proj"] @ m
    return r, {"h": r, "c": c}


def greff(*, input_gate=True, forget=True, output=True, squash_in=np.tanh, squash_out=np.tanh, peep=True):
    """The appendix of the Search Space Odyssey: V, and what a variant leaves out. `forget` may be "coupled"."""

    def step(w, x, s):
        y, c = s["h"], s["c"]
        z = squash_in(net(w, "g", x, y))
        i = sigma(net(w, "i", x, y) + (w["p_i"] * c if peep else 0)) if input_gate else 1.0
        if forget == "coupled":
            f = 1 - i
        else:
            f = sigma(net(w, "f", x, y) + (w["p_f"] * c if peep else 0)) if forget else 1.0
        new = z * i + c * f
        o = sigma(net(w, "o", x, y) + (w["p_o"] * new if peep else 0)) if output else 1.0
        h = squash_out(new) * o
        return h, {"h": h, "c": new}

    return step


def same(z):
    return z


def greff_fgr(w, x, s):
    def gate(name, cell):
        recurrent = sum(w[f"R_{name}{other}"] @ s[other] for other in "ifo")
        return sigma(net(w, name, x, s["h"]) + w["p_" + name] * cell + recurrent)

    i, f = gate("i", s["c"]), gate("f", s["c"])
    c = np.tanh(net(w, "g", x, s["h"])) * i + s["c"] * f
    o = gate("o", c)
    h = np.tanh(c) * o
    return h, {"h": h, "c": c, "i": i, "f": f, "o": o}


def janet(w, x, s):
    beta = 1
    a = net(w, "f", x, s["h"])
    h = sigma(a) * s["h"] + (1 - sigma(a - beta)) * np.tanh(net(w, "g", x, s["h"]))
    return h, {"h": h}


def mgu(w, x, s):
    f = sigma(net(w, "f", x, s["h"]))
    h = (1 - f) * s["h"] + f * np.tanh(net(w, "g", x, f * s["h"]))
    return h, {"h": h}


def gru(w, x, s):
    z, r = sigma(net(w, "z", x, s["h"])), sigma(net(w, "r", x, s["h"]))
    h = z * s["h"] + (1 - z) * np.tanh(net(w, "g", x, r * s["h"]))
    return h, {"h": h}


def gru_reset_after(w, x, s):
    z, r = sigma(net(w, "z", x, s["h"])), sigma(net(w, "r", x, s["h"]))
    n = np.tanh(w["W_g"] @ x + w["b_Wg"] + r * (w["U_g"] @ s["h"] + w["b_Ug"]))
    h = (1 - z) * n + z * s["h"]
    return h, {"h": h}


def gru_two_biases(w, x, s):
    inner = {gate: w["W_" + gate] @ x + w["b_W" + gate] for gate in "zrg"}
    recurrent = {gate: w["U_" + gate] @ s["h"] + w["b_U" + gate] for gate in "zrg"}
    z, r = sigma(inner["z"] + recurrent["z"]), sigma(inner["r"] + recurrent["r"])
    h = (1 - z) * np.tanh(inner["g"] + r * recurrent["g"]) + z * s["h"]
    return h, {"h": h}


def normalize(z):
    return (z - np.mean(z)) / np.sqrt(np.var(z) + 1e-5)


def layer_norm(w, x, s):
    z = normalize(w["U"] @ s["h"]) * w["s_U"] + w["t_U"] + normalize(w["W"] @ x) * w["s_W"] + w["t_W"] + w["b"]
    i, f, g, o = np.split(z, 4)
    c = sigma(f) * s["c"] + sigma(i) * np.tanh(g)
    h = sigma(o) * np.tanh(normalize(c) * w["s_c"] + w["t_c"])
    return h, {"h": h, "c": c}


def mlstm(w, x, s):
    m = (w["W_m"] @ x) * (w["U_m"] @ s["h"])
    h, state = gers2000(w, x, {"h": m, "c": s["c"]})
    return h, state


def udacity(w, x, s):
    """Learn N i, Forget LTM f, Remember LTM f + N i, Use V U."""
    ltm, stm = s["c"], s["h"]
    learn = np.tanh(net(w, "g", x, stm)) * sigma(net(w, "i", x, stm))
    kept = ltm * sigma(net(w, "f", x, stm))
    use = np.tanh(w["W_u"] @ kept + w["b_u"]) * sigma(net(w, "o", x, stm))
    return use, {"h": use, "c": kept + learn}


def mut1(w, x, s):
    z = sigma(w["W_z"] @ x + w["b_z"])
    r = sigma(net(w, "r", x, s["h"]))
    h = np.tanh(w["U_h"] @ (r * s["h"]) + np.tanh(x) + w["b_h"]) * z + s["h"] * (1 - z)
    return h, {"h": h}


def mut2(w, x, s):
    z = sigma(net(w, "z", x, s["h"]))
    r = sigma(x + w["U_r"] @ s["h"] + w["b_r"])
    h = np.tanh(net(w, "h", x, r * s["h"])) * z + s["h"] * (1 - z)
    return h, {"h": h}


def mut3(w, x, s):
    z = sigma(net(w, "z", x, np.tanh(s["h"])))
    r = sigma(net(w, "r", x, s["h"]))
    h = np.tanh(net(w, "h", x, r * s["h"])) * z + s["h"] * (1 - z)
    return h, {"h": h}


def minlstm(w, x, s):
    f, i = sigma(w["W_f"] @ x + w["b_f"]), sigma(w["W_i"] @ x + w["b_i"])
    h = (f * s["h"] + i * (w["W_g"] @ x + w["b_g"])) / (f + i)
    return h, {"h": h}


def mingru(w, x, s):
    z = sigma(w["W_z"] @ x + w["b_z"])
    h = (1 - z) * s["h"] + z * (w["W_g"] @ x + w["b_g"])
    return h, {"h": h}


def qrnn(w, x, s):
    z, f, o = np.tanh(w["W_g"] @ x + w["b_g"]), sigma(w["W_f"] @ x + w["b_f"]), sigma(w["W_o"] @ x + w["b_o"])
    c = f * s["c"] + (1 - f) * z
    return o * c, {"c": c}


def sru(w, x, s):
    f = sigma(w["W_f"] @ x + w["v_f"] * s["c"] + w["b_f"])
    c = f * s["c"] + (1 - f) * (w["W"] @ x)
    r = sigma(w["W_r"] @ x + w["v_r"] * s["c"] + w["b_r"])
    skip = w["W_skip"] @ x if "W_skip" in w else x
    return r * c + (1 - r) * skip, {"c": c}


def slstm(w, x, s):
    i, f = net(w, "i", x, s["h"]), net(w, "f", x, s["h"])
    log_f = np.log(sigma(f))
    m = np.maximum(log_f + s["m"], i)
    i, f = np.exp(i - m), np.exp(log_f + s["m"] - m)
    c = f * s["c"] + i * np.tanh(net(w, "g", x, s["h"]))
    n = f * s["v"] + i
    h = sigma(net(w, "o", x, s["h"])) * (c / n)
    return h, {"h": h, "c": c, "v": n, "m": m}


STEPS = {
    "elman": elman,
    "gers2000": gers2000,
    "gers2002": gers2002,
    "graves2013": graves2013,
    "greff-cifg": greff(forget="coupled"),
    "greff-fgr": greff_fgr,
    "greff-nfg": greff(forget=False),
    "greff-niaf": greff(squash_in=same),
    "greff-nig": greff(input_gate=False),
    "greff-noaf": greff(squash_out=same),
    "greff-nog": greff(output=False),
    "greff-np": greff(peep=False),
    "greff-vanilla": greff(),
    "gru": gru,
    "gru-reset-after": gru_reset_after,
    "gru-two-biases": gru_two_biases,
    "hochreiter1997": hochreiter1997,
    "janet": janet,
    "layer-norm": layer_norm,
    "mgu": mgu,
    "mingru": mingru,
    "minlstm": minlstm,
    "mlstm": mlstm,
    "mut1": mut1,
    "mut2": mut2,
    "mut3": mut3,
    "qrnn": qrnn,
    "sak2014": sak2014,
    "slstm": slstm,
    "sru": sru,
    "sru-square": sru,
    "udacity": udacity,
}
