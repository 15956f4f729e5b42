"""One gate's square matrix is transposed, which no shape tells: a recorded step of the framework itself names it."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lstm_spec as ls

N, K, B = 3, 4, 5
PER_GATE = ["hi/kernel", "hf/kernel", "hg/kernel", "ho/kernel"]


def recorded(rng, n=N):
    return {"x": rng.standard_normal((B, n)), "h": rng.standard_normal((B, K)), "c": rng.standard_normal((B, K))}


def of_flax(n=N):
    """A cell of flax.linen: its kernels by their names, and a step that it computes in float32."""
    linen = pytest.importorskip("flax.linen", reason="flax is not installed")
    rng = np.random.default_rng(0)
    step = {name: array.astype("float32") for name, array in recorded(rng, n).items()}
    cell = linen.LSTMCell(K)
    params = {f"i{g}": {"kernel": rng.standard_normal((n, K))} for g in "ifgo"}
    params |= {f"h{g}": {"kernel": rng.standard_normal((K, K)), "bias": rng.standard_normal(K)} for g in "ifgo"}
    params = {part: {name: a.astype("float32") for name, a in own.items()} for part, own in params.items()}
    (c1, h1), _ = cell.apply({"params": params}, (step["c"], step["h"]), step["x"])
    arrays = {f"{part}/{name}": array for part, own in params.items() for name, array in own.items()}
    return arrays, {**step, "h1": np.asarray(h1), "c1": np.asarray(c1)}


def of_torch():
    """A cell of PyTorch in float64, and a step that it computes."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(N, K).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(torch.randn_like(parameter))
    step = recorded(np.random.default_rng(0))
    h1, c1 = cell(torch.tensor(step["x"]), (torch.tensor(step["h"]), torch.tensor(step["c"])))
    arrays = {name: tensor.detach().numpy().copy() for name, tensor in cell.state_dict().items()}
    return arrays, {**step, "h1": h1.detach().numpy(), "c1": c1.detach().numpy()}


def told(arrays, step):
    """The one finding, with each measured number as #, and the numbers."""
    assert ls.check(arrays, numbers=False).ok
    report = ls.check(arrays, step=step, numbers=False)
    (finding,) = report.findings
    pattern = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-\d+)?(?=$|,|:)", re.MULTILINE)
    return pattern.sub("#", str(finding)), [float(number) for number in pattern.findall(str(finding))]


@pytest.mark.parametrize("name", PER_GATE)
def test_each_kernel_of_flax_in_full(name):
    arrays, step = of_flax()
    assert ls.check(arrays, step=step).ok
    text, (limit, found, as_flax, turned, *gates) = told({**arrays, name: arrays[name].T.copy()}, step)
    assert text == (
        "error[numbers]: arrays computes something else than the recorded step\n"
        "  at       arrays\n"
        "  expected a difference of at most #\n"
        "  found    #\n"
        "  because  read as flax: flax.linen.LSTMCell and OptimizedLSTMCell: a kernel for each gate, as columns; one"
        " bias, on h\n"
        f"           as flax #, with {name} transposed #: a square matrix has the shape of its transpose\n"
        "           gate by gate, read as flax: i #, f #, g #, o #\n"
        f"  help     store {name} transposed"
    )
    assert min(found, as_flax, max(gates)) > 0.05
    assert [gate > 0.05 for gate in gates] == [name[1] == gate for gate in "ifgo"]
    assert max(turned, limit) < 1e-4


def test_a_kernel_on_x_that_is_square():
    arrays, step = of_flax(n=K)
    text, _ = told({**arrays, "ig/kernel": arrays["ig/kernel"].T.copy()}, step)
    assert "as flax #, with ig/kernel transposed #: a square matrix has the shape of its transpose\n" in text


@pytest.mark.parametrize("number", range(4))
def test_a_block_of_a_packed_matrix(number):
    arrays, step = of_torch()
    rows = slice(number * K, (number + 1) * K)
    arrays["weight_hh"][rows] = arrays["weight_hh"][rows].T.copy()
    text, _ = told(arrays, step)
    block = f"the block of {'ifgo'[number]} in weight_hh"
    assert f"           as pytorch #, with {block} transposed #: a square matrix has the" in text
    assert text.endswith(f"\n  help     store {block} transposed")


def test_a_block_of_a_matrix_on_x_and_h():
    arrays, step = of_torch()
    _, weights = ls.read(arrays)
    one = ls.lstm(N, K, forget_bias=1)
    summed = {name: weights[name] for name in weights if name[3] in "WU"}
    summed |= {f"l0.b_{gate}": weights[f"l0.b_W{gate}"] + weights[f"l0.b_U{gate}"] - (gate == "f") for gate in "ifgo"}
    joined = ls.dialects.get("haiku").pack(ls.Weights(summed), one)
    (name,) = [name for name in joined if name.endswith("/w")]
    columns = slice(K, 2 * K)  # of g
    joined[name] = joined[name].copy()
    joined[name][N:, columns] = joined[name][N:, columns].T.copy()
    text, _ = told({f"lstm/{name}": array for name, array in joined.items()}, step)
    assert f"with the block of g on h in lstm/{name} transposed #" in text


def test_what_is_no_transpose_is_not_called_one():
    arrays, step = of_flax()
    text, _ = told({**arrays, "hf/kernel": arrays["hf/kernel"] + 0.5}, step)
    assert "no convention that is known here agrees" in text
    assert "transposed" not in text
    assert "help" not in text


def test_two_of_them_are_not_explained():
    """A block at a time is tried; what two do together is not."""
    arrays, step = of_flax()
    text, _ = told({name: array.T.copy() if name in PER_GATE[:2] else array for name, array in arrays.items()}, step)
    assert "no convention that is known here agrees" in text
