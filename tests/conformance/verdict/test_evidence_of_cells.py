"""A recorded step beside a layer of several cells: each of a stack, in each direction, may be the one."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lstm_spec as ls
from tests.conformance.sets import onnx_model

torch = pytest.importorskip("torch", reason="torch is not installed")
N, K, B = 5, 8, 3


def stack(**options):
    torch.manual_seed(0)
    return torch.nn.LSTM(N, K, **options).double()


def arrays_of(layer):
    return {name: tensor.detach().numpy() for name, tensor in layer.state_dict().items()}


def step_of(layer, end, zero=()):
    """What PyTorch's own cell computes from the weights whose names end so."""
    own = {name.removesuffix(end): t for name, t in layer.state_dict().items() if name.endswith(end)}
    n = own["weight_ih_l0".removesuffix("_l0")].shape[1]
    cell = torch.nn.LSTMCell(n, K).double()
    cell.load_state_dict(own)
    rng = np.random.default_rng(1)
    x, h, c = rng.standard_normal((B, n)), rng.standard_normal((B, K)), rng.standard_normal((B, K))
    for name, array in {"x": x, "h": h, "c": c}.items():
        array *= name not in zero
    h1, c1 = cell(torch.tensor(x), (torch.tensor(h), torch.tensor(c)))
    return {"x": x, "h": h, "c": c, "h1": h1.detach().numpy(), "c1": c1.detach().numpy()}


CELLS = [
    ({"bidirectional": True}, "_l0", "l0"),
    ({"bidirectional": True}, "_l0_reverse", "l0.reverse"),
    ({"num_layers": 3}, "_l0", "l0"),
    ({"num_layers": 3}, "_l2", "l2"),
    ({"num_layers": 2, "bidirectional": True}, "_l1", "l1"),
    ({"num_layers": 2, "bidirectional": True}, "_l1_reverse", "l1.reverse"),
]


@pytest.mark.parametrize(("options", "end", "cell"), CELLS)
def test_every_cell_is_a_candidate(options, end, cell):
    layer = stack(**options)
    report = ls.check(arrays_of(layer), step=step_of(layer, end), numbers=False)
    assert report.ok, str(report)
    assert str(report).splitlines()[-2].startswith(f"  agrees with the recorded step in {cell} within ")
    (found,) = report.layers
    assert found.recorded.difference < 1e-12
    assert found.to_dict()["recorded"]["engine"] == f"the recorded step in {cell}"


@pytest.mark.parametrize(("options", "end", "cell"), CELLS)
def test_our_own_files_have_the_same_cells(options, end, cell):
    layer = stack(**options)
    _, weights = ls.read(arrays_of(layer))
    assert f"in {cell} within" in str(ls.check(dict(weights), step=step_of(layer, end)))


@pytest.mark.parametrize("turn", [0, 1])
def test_the_directions_of_a_node_lie_on_an_axis(tmp_path, turn):
    layer = stack(bidirectional=True)
    own, weights = ls.read(arrays_of(layer))
    packed = ls.dialects.get("onnx").pack(weights, own)
    arrays = {name: array.astype("float32") for name, array in packed.items()}
    (tmp_path / "m.onnx").write_bytes(onnx_model(arrays, {"direction": "bidirectional", "hidden_size": K}, N))
    step = step_of(layer, ["_l0", "_l0_reverse"][turn])
    report = ls.check(str(tmp_path / "m.onnx"), step=step, numbers=False)
    assert report.ok, str(report)
    assert f"in {['l0', 'l0.reverse'][turn]} within " in str(report)
    wrong = ls.check(str(tmp_path / "m.onnx"), step={**step, "h": step["h"][::-1]}, numbers=False)
    assert not wrong.ok
    assert wrong.layers[0].recorded.difference > 0.05


def test_two_cells_of_the_same_numbers_both_agree():
    arrays = arrays_of(stack(num_layers=3))
    arrays |= {name.replace("l2", "l1"): array for name, array in arrays.items() if "l2" in name}
    layer = stack(num_layers=3)
    layer.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    report = ls.check(arrays, step=step_of(layer, "_l1"), numbers=False)
    assert "  agrees with the recorded step in l1 and l2 within " in str(report)


def test_of_cells_that_all_differ_the_nearest_is_told_and_explained():
    """The reverse cell is in ONNX's order: the forward one has nothing to do with the step."""
    layer = stack(bidirectional=True)
    step = step_of(layer, "_l0_reverse")
    arrays = arrays_of(layer)
    for name in [name for name in arrays if name.endswith("_reverse")]:
        i, f, g, o = np.split(arrays[name], 4)
        arrays[name] = np.concatenate([i, f, o, g])
    report = ls.check(arrays, step=step, numbers=False)
    (finding,) = report.findings
    error = report.layers[0].recorded.difference
    assert error > 0.05
    lines = finding.because.splitlines()
    assert lines[1] == "its cells of these sizes: l0, l0.reverse; the nearest is l0.reverse"
    assert lines[2].endswith(": the blocks are i, f, o, g")
    assert str(finding).splitlines()[:4] == [
        "error[numbers]: arrays computes something else than the recorded step",
        "  at       arrays",
        "  expected a difference of at most 1e-05",
        f"  found    {error:.1e}",
    ]
    assert f"  DIFFERS from the recorded step in l0.reverse within {error:.1e} (limit 1e-05)" in str(report)


def test_a_step_of_other_sizes_than_any_cell_in_full():
    layer = stack(num_layers=4)
    step = step_of(layer, "_l0") | {"x": np.ones((B, 7))}
    (finding,) = ls.check(arrays_of(layer), step=step, numbers=False).findings
    assert str(finding) == (
        "error[step]: no layer here has the sizes of the recorded step\n"
        "  at       arrays\n"
        "  expected arrays: n = 5, k = 8; arrays l1 and above: n = 8, k = 8\n"
        "  found    x is 7 wide, h 8, c 8\n"
        "  help     record the step of one layer: x (B, n), h and h1 (B, r), c and c1 (B, k)"
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rounded_weights_are_held_as_identify_holds_them(dtype):
    """The step is that of the weights before they were rounded."""
    layer = stack()
    step = step_of(layer, "_l0")
    stored = {name: t.to(getattr(torch, dtype)) for name, t in layer.state_dict().items()}
    report, found = ls.check(stored, step=step, numbers=False), ls.identify(stored, step)
    recorded = report.layers[0].recorded
    assert report.ok, str(report)
    assert found.fits
    assert recorded.tolerance == found.tolerance
    assert recorded.difference == pytest.approx(found.best.error, rel=0.5)
    assert 1e-5 < recorded.difference < recorded.tolerance


def test_weights_in_two_dtypes_are_held_as_identify_holds_them():
    layer = stack()
    arrays = arrays_of(layer) | {"bias_hh_l0": arrays_of(layer)["bias_hh_l0"].astype("float32")}
    step = step_of(layer, "_l0")
    report = ls.check(arrays, step=step, numbers=False)
    assert report.ok, str(report)
    assert report.layers[0].recorded.tolerance == ls.identify(arrays, step).tolerance == 2e-5


def test_what_is_in_its_place_is_not_to_be_moved():
    """The weights are PyTorch's and noisy: there is no help in writing them again."""
    layer = stack()
    step = step_of(layer, "_l0")
    (finding,) = ls.check(arrays_of(layer), step=step | {"c1": step["c1"] + 1e-4}, numbers=False).findings
    assert finding.help == ""


@pytest.mark.parametrize(("zero", "words"), [(("x",), "x is"), (("h", "c"), "h and c are")])
def test_what_a_step_cannot_show_is_told(zero, words):
    """W's blocks could be shuffled, and a step with x = 0 would be the same."""
    layer = stack()
    step = step_of(layer, "_l0", zero=zero)
    report = ls.check(arrays_of(layer), step=step, numbers=False)
    assert report.ok
    (finding,) = report.findings
    assert str(finding) == (
        f"note[step]: {words} 0 in every sample of the recorded step: it shows nothing of what they are multiplied by\n"
        "  at       arrays"
    ).replace("they are", "it is" if len(zero) == 1 else "they are")


@pytest.mark.parametrize("state", ["h1", "c1"])
@pytest.mark.parametrize("swapped", [False, True])
def test_one_miss_is_one_number(state, swapped):
    """A wrong c1 was 9.6e-02 of the layer and 0.14 of its explanation, which took h' from the recorded c'."""
    layer = stack()
    step = step_of(layer, "_l0")
    step[state] = step[state] + 0.1
    if swapped:
        step["h"], step["c"] = step["c"], step["h"]
    report = ls.check(arrays_of(layer), step=step, numbers=False)
    (finding,) = report.findings
    missed = report.layers[0].recorded.difference
    assert missed > 0.05
    assert finding.found == f"{missed:.1e}"
    told, _, nearest = finding.because.splitlines()[1].removeprefix("as pytorch ").partition(",")
    assert told == f"{missed:.2g}"
    assert float(re.search(r"misses by ([\d.]+)", nearest)[1]) <= float(told)
