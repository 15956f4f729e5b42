"""Recurrent cells as people write them in PyTorch; needs torch."""

import torch
import torch.nn.functional as F
from torch import nn

N, K, R = 3, 4, 2
FUNCTIONS = {
    "hard_sigmoid": lambda z: F.hardtanh(0.2 * z + 0.5, 0, 1),
    "hardtanh": F.hardtanh,
    "identity": lambda z: z,
    **{name: getattr(torch, name) for name in ("tanh", "sigmoid", "relu", "sin", "erf", "exp")},
    **{name: getattr(F, name) for name in ("softsign", "gelu", "silu", "mish", "selu", "elu", "leaky_relu")},
}


class Cell(nn.Module):
    """A cell by hand: `how` its gates are made, and what is not plain."""

    def __init__(self, how="chunk", candidate="tanh", output="tanh", **more):
        super().__init__()
        self.how, self.candidate, self.read, self.more = how, FUNCTIONS[candidate], FUNCTIONS[output], more
        self.order = {"f": "igo", "i": "fgo"}.get(more.get("coupled"), more.get("order", "ifgo"))
        self.r, n = R if more.get("projection") else K, more.get("n", N)
        size = len(self.order) * K
        if how == "gates":
            self.W = nn.ModuleDict({g: nn.Linear(n, K) for g in self.order})
            self.U = nn.ModuleDict({g: nn.Linear(self.r, K, bias=False) for g in self.order})
        elif how == "joined":
            self.V = nn.Linear(n + self.r, size)
        else:
            self.W, self.U = nn.Linear(n, size), nn.Linear(self.r, size, bias=how != "split")
        self.p = nn.ParameterDict({g: nn.Parameter(torch.randn(K)) for g in "ifo"} if "peephole" in more else {})
        self.norm = nn.LayerNorm(size) if more.get("norm") else lambda z: z
        self.P = nn.Linear(K, self.r) if more.get("projection") else lambda h: h

    def sums(self, x, h):
        if self.how == "gates":
            return {g: self.W[g](x) + self.U[g](h) for g in self.order}
        z = self.V(torch.cat([x, h], -1)) if self.how == "joined" else self.norm(self.W(x) + self.U(h))
        if self.how == "slices":
            return {g: z[:, K * q : K * (q + 1)] for q, g in enumerate(self.order)}
        parts = z.split(K, -1) if self.how == "split" else z.chunk(len(self.order), -1)
        return dict(zip(self.order, parts, strict=True))

    def step(self, x, h, c):
        z, more, gate = self.sums(x, h), self.more, FUNCTIONS[self.more.get("gate", "sigmoid")]
        if "peephole" in more:
            z |= {g: z[g] + self.p[g] * c for g in ("ifo" if more["peephole"] == "before" else "if")}
        i, f = (gate(z[g]) if g in z else None for g in "if")
        i, f = (1 - f if i is None else i), (1 - i if f is None else f)
        c = f * c + i * self.candidate(z["g"])
        if bound := more.get("clip"):
            c = c.clamp(-bound, bound)
        o = gate(z["o"] + self.p["o"] * c if more.get("peephole") == "after" else z["o"])
        return self.P(o * self.read(c)), c

    def forward(self, x):
        h, c, y = x.new_zeros(x.shape[1], self.r), x.new_zeros(x.shape[1], K), []
        for x_t in x:
            h, c = self.step(x_t, h, c)
            y.append(h)
        return torch.stack(y)


class Step(Cell):
    """One step of it: the states go in and out."""

    def forward(self, x, h, c):
        return self.step(x, h, c)


class Unrolled(nn.Module):
    """A cell of torch.nn in a Python loop."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.states = cell, 2 if isinstance(cell, nn.LSTMCell) else 1

    def forward(self, x):
        state, y = (x.new_zeros(x.shape[1], K),) * self.states, []
        for x_t in x:
            state = self.cell(x_t, state if self.states == 2 else state[0])
            state = state if self.states == 2 else (state,)
            y.append(state[0])
        return torch.stack(y)


class Layer(nn.Module):
    """A layer of torch.nn: its output alone."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


class Multiplicative(Cell):
    """m = (W x) * (U h) in the place of h, as in Krause et al. 2016."""

    def __init__(self):
        super().__init__()
        self.A, self.C = nn.Linear(N, K, bias=False), nn.Linear(K, K, bias=False)

    def step(self, x, h, c):
        return super().step(x, self.A(x) * self.C(h), c)


class Sum(nn.Module):
    """Several models of one input."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x):
        return sum(part(x) for part in self.parts)


class Scanned(Cell):
    """The same step in torch's scan, which is exported as a Scan."""

    def forward(self, x):
        from torch._higher_order_ops.scan import scan

        def combine(state, x_t):
            h, c = self.step(x_t, *state)
            return [h.clone(), c.clone()], h.clone()

        start = [torch.zeros(x.shape[1], self.r), torch.zeros(x.shape[1], K)]
        return scan(combine, start, x)[1]


class ScriptedLoop(nn.Module):
    """Nothing but what TorchScript compiles."""

    def __init__(self):
        super().__init__()
        self.W, self.U = nn.Linear(3, 16), nn.Linear(4, 16)

    def forward(self, x):
        h = torch.zeros(x.shape[1], 4)
        c = torch.zeros(x.shape[1], 4)
        y = torch.jit.annotate(list[torch.Tensor], [])
        for t in range(x.shape[0]):
            i, f, g, o = (self.W(x[t]) + self.U(h)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            y.append(h)
        return torch.stack(y)
