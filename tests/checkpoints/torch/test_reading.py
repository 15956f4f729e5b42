"""The PyTorch reader against PyTorch: the same names, shapes and values as `torch.load`, to the bit."""

import io
import subprocess
import sys
import warnings

import numpy as np
import pytest

import lstm_spec as ls
from lstm_spec.checkpoints import read_tensors
from lstm_spec.errors import TensorError
from tests.checkpoints.torch.pickled import archive, saved, state_dict, tensor

OLD = {"_use_new_zipfile_serialization": False}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(params=["zip", "legacy", "protocol 4"])
def save(request, torch, tmp_path):
    options = {"zip": {}, "legacy": OLD, "protocol 4": {"pickle_protocol": 4}}[request.param]

    def saved_as(value, name="m.pt"):
        torch.save(value, tmp_path / name, **options)
        return tmp_path / name

    return saved_as


def assert_equal(tensors, expected):
    """The tensors are those of a state dict."""
    assert list(tensors) == list(expected)
    for name, value in expected.items():
        found = tensors[name]
        assert (found.shape, f"torch.{found.dtype}") == (tuple(value.shape), str(value.dtype)), name
        if found.load is not None:
            array = found.load()
            plain = value.detach().float() if found.dtype == "bfloat16" else value.detach()
            assert array.tobytes() == plain.contiguous().numpy().tobytes(), name
            assert array.flags.writeable
            assert array.flags.c_contiguous


class Model:
    """Made inside, so that the module is read without PyTorch too."""

    @staticmethod
    def of(torch, **options):
        model = torch.nn.Module()
        model.rnn = torch.nn.LSTM(3, 4, **options)
        model.head = torch.nn.Linear(4, 2)
        return model


def test_every_dtype(torch, save):
    names = """float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64 complex128
    bfloat16 float8_e4m3fn float8_e5m2 complex32""".split()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = {name: (torch.rand(2, 3, 2) * 100).to(getattr(torch, name)) for name in names}
    tensors = read_tensors(save(values))
    assert_equal(tensors, values)
    assert [name for name in tensors if tensors[name].load is None] == names[-3:]


def test_views_of_every_sort(torch, save):
    base = torch.randn(6, 8, 5)
    large = torch.randn(100, 300)
    values = {
        "base": base,
        "transposed": base.permute(2, 0, 1),
        "offset": base[2:4, 1::3, 1],
        "column": large[:, 7],
        "corner": large[::50, :2],
        "scalar": base[1, 1, 1],
        "empty": base[:, :0],
        "same": base,
        "parameter": torch.nn.Parameter(torch.randn(3)),
    }
    assert_equal(read_tensors(save(values)), values)


def test_values_that_do_not_lie_there_as_they_are(torch, save):
    values = {"conj": torch.randn(3, dtype=torch.complex64).conj(), "expanded": torch.randn(1, 3).expand(4, 3)}
    tensors = read_tensors(save(values))
    assert tensors["conj"].load is None
    assert (tensors["expanded"].shape, tensors["expanded"].load) == ((4, 3), None)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 2}, {"bias": False}])
def test_an_lstm(torch, save, options):
    module = torch.nn.LSTM(3, 4, **options)
    path = save(module.state_dict())
    assert_equal(read_tensors(path), module.state_dict())
    report = ls.check(path)
    assert report.ok
    assert report.layers[0].layer.parameter_count == sum(p.numel() for p in module.parameters())
    assert report.layers[0].agreement.difference < 1e-6


@pytest.mark.parametrize(
    ("wrap", "where"),
    [
        (lambda state: {"epoch": 3, "model_state_dict": state, "lr": 0.1}, "model_state_dict.rnn"),
        (lambda state: {"module." + name: value for name, value in state.items()}, "module.rnn"),
        (lambda state: {"nets": [{"g": state}]}, "nets.0.g.rnn"),
        (lambda state: {7: state, "args": {"x": None}}, "7.rnn"),
    ],
)
def test_nested_names(torch, save, wrap, where):
    report = ls.check(save(wrap(Model.of(torch).state_dict())))
    assert report.ok
    assert [layer.where for layer in report.layers] == [where]


def test_a_model_and_its_average_are_two_layers(torch, save):
    state = Model.of(torch).state_dict()
    average = {name: value.clone() for name, value in state.items()}
    report = ls.check(save({"model": state, "ema": average}))
    assert [layer.where for layer in report.layers] == ["model.rnn", "ema.rnn"]


def test_a_cell(torch, save):
    report = ls.check(save(torch.nn.LSTMCell(3, 4).state_dict()))
    assert (report.ok, len(report.layers[0].tensors)) == (True, 4)


def test_a_gru_is_no_lstm(torch, save):
    report = ls.check(save({"rnn." + k: v for k, v in torch.nn.GRU(3, 4).state_dict().items()}))
    assert [f.message for f in report.findings] == [
        "rnn is a GRU, by the rows of its recurrent matrix; this version reads LSTMs"
    ]


@pytest.mark.parametrize("key", ["optimizer", "lstm_optimizer"])
def test_optimizer_slots_are_left_out(torch, save, key):
    model = Model.of(torch)
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
    model.head(model.rnn(torch.zeros(2, 1, 3))[0]).sum().backward()
    optimizer.step()
    path = save({"model": model.state_dict(), key: optimizer.state_dict()})
    report = ls.check(path)
    assert (report.ok, report.findings, len(report.layers)) == (True, (), 1)
    assert f"{key}.state.0.exp_avg" in report.other


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_whole_module_says_its_layout(torch, save, batch_first):
    model = Model.of(torch, num_layers=2, batch_first=batch_first)
    path = save(model)
    assert_equal(read_tensors(path), model.state_dict())
    report = ls.check(path)
    assert report.ok
    assert report.layers[0].layer.layout == ("batch" if batch_first else "time")
    assert report.layers[0].agreement.difference < 1e-6


def test_a_whole_module_of_an_unknown_class(torch, tmp_path):
    """The class is nowhere to be found when the file is read."""
    script = """
import sys, torch
class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.LSTM(3, 4, batch_first=True)
        self.kept = [torch.nn.LSTM(3, 5)]
        self.tied = self.rnn
torch.save(torch.nn.DataParallel(Encoder()), sys.argv[1])
"""
    path = tmp_path / "m.pt"
    subprocess.run([sys.executable, "-c", script, path], check=True, timeout=60)
    report = ls.check(path)
    assert report.ok
    assert [(layer.where, layer.layer.layout) for layer in report.layers] == [
        ("module.rnn", "batch"),
        ("module.kept.0", "time"),  # registered nowhere, and not passed over
    ]


def test_a_module_that_denies_its_tensors(torch, save):
    module = torch.nn.LSTM(3, 4)
    module.hidden_size = 5
    report = ls.check(save(module))
    assert [f.message for f in report.findings] == ["hidden_size = 5"]


@pytest.mark.parametrize("how", ["script", "trace"])
def test_torchscript(torch, tmp_path, how):
    model = torch.nn.Sequential()
    model.rnn = torch.nn.LSTM(3, 4, 2, bidirectional=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.script(model.rnn) if how == "script" else torch.jit.trace(model.rnn, torch.zeros(2, 1, 3))
        made.save(str(tmp_path / "m.pt"))
    assert_equal(read_tensors(tmp_path / "m.pt"), made.state_dict())
    assert ls.check(tmp_path / "m.pt").ok


def test_parameters_of_one_storage_in_the_old_format(torch, tmp_path):
    """As `flatten_parameters` lays them on a GPU: one storage, and the order of its parts is not that of the names."""
    module = torch.nn.LSTM(3, 4)
    flat = torch.randn(sum(p.numel() for p in module.parameters()))
    state, at = {}, flat.numel()
    for name, value in module.state_dict().items():
        at -= value.numel()
        state[name] = flat[at : at + value.numel()].view(value.shape)
    torch.save(state, tmp_path / "m.bin", **OLD)
    assert_equal(read_tensors(tmp_path / "m.bin"), state)
    assert ls.check(tmp_path / "m.bin").ok


def test_tied_weights_and_a_file_without_checksums(torch, tmp_path):
    from torch.serialization import set_crc32_options

    weight = torch.nn.Parameter(torch.randn(3, 2))
    set_crc32_options(False)
    try:
        torch.save({"a": weight, "b": weight}, tmp_path / "m.pth")
    finally:
        set_crc32_options(True)
    assert_equal(read_tensors(tmp_path / "m.pth"), {"a": weight, "b": weight})


def test_big_endian_values(write):
    values = np.arange(6, dtype=">f4")
    path = write("m.pt", archive(state_dict({"w": tensor()}), {"0": values.tobytes()}, order=b"big"))
    array = read_tensors(path)["w"].load()
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, values.reshape(2, 3))


def test_our_writer_writes_what_pytorch_reads(torch):
    arrays = {"rnn.weight_ih_l0": np.random.default_rng(0).random((8, 3), np.float32)}
    loaded = torch.load(io.BytesIO(saved(arrays)), weights_only=True)
    np.testing.assert_array_equal(loaded["rnn.weight_ih_l0"].numpy(), arrays["rnn.weight_ih_l0"])


def test_without_pytorch(write):
    """The same file in a process where neither torch nor pickle's machine may be imported by the reader."""
    script = """
import sys
sys.modules["torch"] = None
import lstm_spec as ls
print(*(f"{row.name} {row.found}" for row in ls.check(sys.argv[1]).layers[0].tensors))
"""
    rng = np.random.default_rng(0)
    shapes = {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 2), "bias_ih_l0": (8,), "bias_hh_l0": (8,)}
    path = write("m.pt", saved({name: rng.random(shape, np.float32) for name, shape in shapes.items()}))
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[0] == " ".join(f"{name} {shape}" for name, shape in shapes.items())


def test_tensors_but_no_lstm(write):
    path = write("m.pt", archive(state_dict({"w": tensor()}), {"0": bytes(24)}))
    with pytest.raises(TensorError) as caught:
        ls.check(path)
    assert str(caught.value) == (
        "error[no-lstm]: there is no LSTM here\n"
        f"  at       {path}\n"
        "  expected names such as weight_ih_l0, recurrent_kernel or l0.W_f, or an ONNX operator LSTM\n"
        "  found    1 tensor: w"
    )
