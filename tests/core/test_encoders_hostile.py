"""Hostile pictures, entity files and networks: a right result or one sentence, in little memory.

The generators take any seed and count; here runs a fixed selection of each.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hostile_entities
import hostile_pictures
import pytest
import torch

from tora2.encoders.entity_file import load_entity
from tora2.encoders.onnx import OnnxPrior
from tora2.encoders.onnx_file import signature
from tora2.encoders.pictures import MAX_SIDE, load_picture

resource: Any = pytest.importorskip("resource", reason="memory is measured with it")
LONGEST = 600


def outcomes(
    cases: Iterator[tuple[str, bytes]], file: Path, use: Callable[[Path], object]
) -> dict[str, set[str]]:
    """What became of each kind of case: `ok`, or `refused` in one clean line."""
    found: dict[str, set[str]] = {}
    for name, content in cases:
        file.write_bytes(content)
        kind = found.setdefault(name.split()[0], set())
        try:
            use(file)
            kind.add("ok")
        except (ValueError, OSError) as error:
            said = str(error)
            assert file.name in said and said.isprintable() and len(said) < LONGEST, (name, said)
            kind.add("refused")
        except BaseException as error:
            raise AssertionError(f"{name} ends in {error!r}") from error
    return found


@contextmanager
def megabytes(most: int) -> Iterator[None]:
    """The peak of memory grows by no more."""

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

    before = peak()
    yield
    assert peak() - before <= most


def test_pictures(tmp_path: Path) -> None:
    def use(file: Path) -> None:
        picture = load_picture(file)
        assert max(picture.size) <= MAX_SIDE and picture.rgb.dtype == torch.uint8

    with megabytes(400):
        found = outcomes(hostile_pictures.cases(0, 156), tmp_path / "a.png", use)
    assert found["encoded"] == found["bomb"] == {"ok"}
    assert found["huge_claim"] == found["junk"] == {"refused"}
    assert found["scans"] == {"ok", "refused"}


def test_entity_files(tmp_path: Path) -> None:
    def use(file: Path) -> None:
        entity = load_entity(file)
        assert 0 <= entity.strength <= 10
        assert all(x.semantic.isfinite().all() and x.prior.numel() for x in entity.pictures)

    cases = hostile_entities.cases(0, 165)
    found = outcomes(cases, tmp_path / "a.safetensors", use)
    assert found["good"] == {"ok"} and found["bare"] == found["cut"] == {"refused"}


def test_networks(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the onnx package makes the hostile files")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    hostile: Any = importlib.import_module("hostile_onnx")

    def use(file: Path) -> None:
        image = torch.zeros(3, 20, 10, dtype=torch.uint8)
        assert OnnxPrior(file, "cpu").encode(image, (0, 0, 9, 9)).shape == (3,)

    with megabytes(400):
        found = outcomes(hostile.cases(0, 52), tmp_path / "a.onnx", use)
    assert found["good"] == found["few_copies"] == {"ok"}
    for kind in ("external", "external_in_a_function", "operator", "copies", "circle", "side"):
        assert found[kind] == {"refused"}, kind


def test_what_is_said_of_networks(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the onnx package makes the hostile files")
    hostile: Any = importlib.import_module("hostile_onnx")
    graph = hostile.GraphProto(name="inner", initializer=[hostile.outside("deep")])
    graph.node.add(op_type="Identity", input=["deep"], output=["y"])
    file = tmp_path / "a.onnx"
    for model, said in (
        (hostile.network(hostile.nested(graph, 12)), "keeps tensor 'deep' in another file"),
        (hostile.calls(25, 2), "has more than 20000 nodes once functions such as own::f"),
        (hostile.calls(60, 1), "nests functions down to own::f9; expected at most 50 deep"),
        (hostile.network(size=(99_999, 8)), r"takes an input of \[1, 3, 99999, 8\]; .* 4096"),
    ):
        file.write_bytes(model.SerializeToString())
        with pytest.raises(ValueError, match=f"a.onnx {said}"):
            signature(file)
    file.write_bytes(hostile.calls(50, 1).SerializeToString())
    assert signature(file).inputs == ((1, 3, 8, 8),)
