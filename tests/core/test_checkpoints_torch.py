"""Torch's zip files: the same tensors as torch reads, and nothing built of anything else."""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from tora2.checkpoints.torch_pickle import read_torch
from tora2.checkpoints.torch_program import MAX_STEPS, describe
from tora2.checkpoints.torch_values import OTHER, Forbidden, Items

DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
)


def archive(path: Path, program: bytes, records: dict[str, bytes] | None = None) -> Path:
    """A zip file as torch lays it out, around any pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", program)
        for key, content in (records or {}).items():
            file.writestr(f"archive/{key}", content)
    return path


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    base = torch.randn(6, 5)
    return {
        **{str(dtype): torch.randint(0, 2, (3, 4)).to(dtype) for dtype in DTYPES},
        "whole": base,
        "turned": base.T,
        "part": base[1:5:2, 2:],
        "value": torch.tensor(7.0),
        "none": torch.zeros(0, 3),
        "parameter": nn.Parameter(torch.randn(2)),
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_are_those_that_torch_reads(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "x.pt"
    torch.save({"module": OrderedDict(state())}, path, pickle_protocol=protocol)
    found = read_torch(path)
    expected = torch.load(path, weights_only=False)["module"]
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        assert found[name].stride() == tensor.stride() or not tensor.numel()
        assert torch.equal(found[name].to(torch.float64), tensor.detach().to(torch.float64)), name


def test_the_state_dict_of_a_module_has_items_and_an_attribute(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    torch.save(module.state_dict(), tmp_path / "x.pt")
    found = read_torch(tmp_path / "x.pt")
    for name, tensor in module.state_dict().items():
        assert torch.equal(found[name], tensor)


def test_writing_into_a_tensor_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(100)}, tmp_path / "x.pt")
    before = (tmp_path / "x.pt").read_bytes()
    read_torch(tmp_path / "x.pt")["a"].fill_(1)
    assert (tmp_path / "x.pt").read_bytes() == before


def test_large_objects_are_noted_and_not_made(tmp_path: Path) -> None:
    class Huge:
        def __reduce__(self) -> tuple:
            return bytearray, (2**62,)

    torch.save({"module": {"a": torch.ones(2)}, "beside": Huge()}, tmp_path / "x.pt")
    assert torch.equal(read_torch(tmp_path / "x.pt")["a"], torch.ones(2))


def test_keys_that_collide_are_never_hashed() -> None:
    """As many in a dictionary would take Python minutes."""
    keys = ((2**61 - 1) * i for i in range(100_000))
    body = b"".join(pickle.dumps(key, protocol=2)[2:-1] + b"N" for key in keys)
    content = describe(b"\x80\x02}(" + body + b"u.")
    assert isinstance(content, Items) and len(content.pairs) == 100_000


def test_programs_that_only_grow_are_cut_short() -> None:
    with pytest.raises(ValueError, match=f"more than {MAX_STEPS} instructions"):
        describe(b"\x80\x02" + b"]" * (MAX_STEPS + 1))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"", "ends early"),
        (b"\x80\x02", "ends early"),
        (b"\x80\x02.", "nothing on the stack"),
        (b"\x80\x02(0.", "nothing on the stack"),
        (b"\x80\x02u.", "no mark"),
        (b"\x80\x02}(Nu.", "items of no dictionary"),
        (b"\x80\x02](NNu.", "items of no dictionary"),
        (b"\x80\x02}Na.", "items of no list"),
        (b"\x80\x02h\x07.", "memo 7 is empty"),
        (b"\x80\x02X\xff\xff\xff\xffabc.", "ends early"),
        (b"\x80\x02X\x01\x00\x00\x00\xff.", "utf-8"),
        (b"\x80\x02NN\x86Q.", "reference that torch does not write"),
        (b"\x80\x02N)R.", "call of no function"),
        (b"\x80\x02cset", "name without end"),
        (b"I1\n.", "instruction 0x49"),
        (b"\x80\x02\xff.", "instruction 0xff"),
        (b"\x80\x02NN\x93.", "no text"),
    ],
)
def test_damaged_programs(tmp_path: Path, program: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe(program)
    with pytest.raises(ValueError, match=r"x\.pt is a damaged torch file"):
        read_torch(archive(tmp_path / "x.pt", program))


@pytest.mark.parametrize("name", ["posix.system", "builtins.eval", "torch.load", "torch.Tensors"])
def test_names_that_are_no_plain_data_are_forbidden(name: str) -> None:
    module, word = name.rsplit(".", 1)
    for program in (
        f"c{module}\n{word}\n.".encode(),
        b"\x8c"
        + bytes([len(module)])
        + module.encode()
        + b"\x8c"
        + bytes([len(word)])
        + word.encode()
        + b"\x93.",
    ):
        with pytest.raises(Forbidden, match=name):
            describe(b"\x80\x04" + program)
    assert describe(pickle.dumps({1, 2}, protocol=4)) is OTHER


def tensor(**changes: object) -> bytes:
    """{'a': a tensor}, with parts of its description changed."""
    parts = {"key": "0", "count": 4, "offset": 0, "shape": (2, 2), "stride": (2, 1), **changes}

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            storage = ("storage", torch.FloatStorage, parts["key"], "cpu", parts["count"])
            return storage if obj is parts else None

    class Tensor:
        def __reduce__(self) -> tuple:
            place = parts, parts["offset"], parts["shape"], parts["stride"], False, OrderedDict()
            return torch._utils._rebuild_tensor_v2, place

    out = io.BytesIO()
    Pickler(out, protocol=2).dump({"a": Tensor()})
    return out.getvalue()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "1"}, "record '1' is missing"),
        ({"key": "../../../etc/passwd"}, "is missing"),
        ({"count": 5}, "16 bytes for 5 values"),
        ({"count": 10**100}, "16 bytes for an integer of"),
        ({"count": -4}, "16 bytes for -4 values"),
        ({"offset": 1}, "larger than its stored values"),
        ({"offset": -1}, "a tensor of shape"),
        ({"stride": (4, 1)}, "larger than its stored values"),
        ({"stride": (2,)}, "a tensor of shape"),
        ({"stride": (0, 0), "shape": (2**40, 2)}, "larger than its stored values"),
        ({"shape": (0, 2**62, 2**62), "stride": (1, 1, 1)}, "of shape"),
        ({"shape": (1,) * 100, "stride": (1,) * 100}, "of shape"),
        ({"shape": ("2", 2)}, "a tensor of shape"),
        ({"shape": (2.0, 2)}, "a tensor of shape"),
    ],
)
def test_tensors_outside_their_values(tmp_path: Path, changes: dict, message: str) -> None:
    path = archive(tmp_path / "x.pt", tensor(), {"data/0": bytes(16)})
    assert read_torch(path)["a"].tolist() == [[0, 0], [0, 0]]
    archive(path, tensor(**changes), {"data/0": bytes(16)})
    with pytest.raises(ValueError, match=message):
        read_torch(path)


def test_values_in_the_other_byte_order_are_refused(tmp_path: Path) -> None:
    records = {"data/0": bytes(16), "byteorder": b"big"}
    with pytest.raises(ValueError, match="little-endian"):
        read_torch(archive(tmp_path / "x.pt", tensor(), records))


def test_a_changed_pickle_is_noticed(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.pt", tensor(), {"data/0": bytes(16)})
    path.write_bytes(path.read_bytes().replace(b"cpu", b"gpu", 1))
    with pytest.raises(ValueError, match="checksum"):
        read_torch(path)


def test_an_index_of_millions_of_members_is_not_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.pt", tensor(), {"data/0": bytes(16)})
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    path.write_bytes(
        content[:end]
        + bytes(2**24)
        + content[end : end + 12]
        + (2**24).to_bytes(4, "little")
        + content[end + 16 :]
    )
    with pytest.raises(ValueError, match="no zip index"):
        read_torch(path)
