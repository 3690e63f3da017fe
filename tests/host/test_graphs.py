"""Graphs through the host's own executor: what is made for whom, and what a node does with null."""

from types import SimpleNamespace
from typing import Any

import builders
import pytest
import torch

LARGE = {"version": 1, "width": 2048, "height": 2048, "frames": 97}
TRACK = {"id": "t", "points": [{"x": 0.1, "y": 0.5}, {"x": 0.9, "y": 0.5}]}


class Executor:
    """Runs prompts with one cache, as the server's worker does."""

    def __init__(self) -> None:
        from execution import PromptExecutor

        server = SimpleNamespace(client_id=None, last_node_id=None, send_sync=lambda *_: None)
        self.executor = PromptExecutor(server, cache_args={"ram": 1.0, "ram_inactive": 1.0})

    def run(self, prompt: dict[str, Any], *outputs: str) -> list[tuple[str, dict[str, Any]]]:
        # Each prompt comes from JSON of its own: the host writes into it.
        own = {key: {**node, "inputs": dict(node["inputs"])} for key, node in prompt.items()}
        self.executor.execute(own, "p", execute_outputs=list(outputs))
        return self.executor.status_messages

    def error(self, prompt: dict[str, Any], *outputs: str) -> str:
        (said,) = [m for kind, m in self.run(prompt, *outputs) if kind == "execution_error"]
        assert said["exception_type"] == "ValueError", said
        return str(said["exception_message"]).strip()


@pytest.fixture
def executor(host: Any) -> Executor:
    return Executor()


class Taker:
    """An output node of any input, which remembers what it got."""

    CATEGORY, FUNCTION, OUTPUT_NODE, RETURN_TYPES = "tests", "take", True, ()
    got: list[Any] = []

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("*",)}}

    def take(self, value: Any) -> tuple[()]:
        self.got.append(value)
        return ()


class Nothing:
    """A node whose output is None."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "give", ("*",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def give(self) -> tuple[None]:
        return (None,)


@pytest.fixture(autouse=True)
def helpers(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Taker, "got", [])
    for kind in (Taker, Nothing):
        monkeypatch.setitem(host.NODE_CLASS_MAPPINGS, kind.__name__, kind)


def editor(document: dict[str, Any], *taken: int) -> dict[str, Any]:
    """An editor with a node at each of the `taken` outputs."""
    drawn = {**document, "tracks": [TRACK]}
    return {
        "e": {"class_type": "Tora2TrajectoryEditor", "inputs": {"document": drawn}},
        **{f"t{n}": {"class_type": "Taker", "inputs": {"value": ["e", n]}} for n in taken},
    }


def free(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    from comfy import model_management

    monkeypatch.setattr(model_management, "get_free_memory", lambda *_: int(gib * 2**30))


def test_a_large_preview_is_only_made_for_who_takes_it(
    executor: Executor, pack: builders.Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, ...]] = []
    full = torch.full

    def counted(shape: Any, *rest: Any, **options: Any) -> torch.Tensor:
        made.append(tuple(shape))
        return full(shape, *rest, **options)

    monkeypatch.setattr(torch, "full", counted)
    assert executor.run(editor(LARGE, 0), "t0")[-1][0] == "execution_success"
    assert Taker.got[0].frames == 97
    assert max(torch.Size(shape).numel() for shape in made) == 1024 * 1024 * 3
    free(monkeypatch, 4)
    said = executor.error(editor(LARGE, 0, 2), "t0", "t2")
    for words in ("the preview of 2048x2048 with 97 frames", " 5.2 GiB ", " 4.0 GiB are free"):
        assert words in said
    assert max(torch.Size(shape).numel() for shape in made) == 1024 * 1024 * 3


def test_a_preview_that_is_connected_later_is_made_then(
    executor: Executor, pack: builders.Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack("nodes.editor"), "_ALWAYS_MADE", 0)
    document = {"version": 1, "width": 96, "height": 64, "frames": 9}
    executor.run(editor(document, 1), "t1")
    executor.run(editor(document, 1, 2), "t1", "t2")
    assert Taker.got[-1].shape == (9, 64, 96, 3)
    again = len(Taker.got)
    executor.run(editor(document, 1, 2), "t1", "t2")
    assert len(Taker.got) == again  # all of it is cached


def test_a_usual_preview_is_the_same_result_with_and_without_a_taker(executor: Executor) -> None:
    document = {"version": 1, "width": 96, "height": 64, "frames": 9}
    executor.run(editor(document, 0), "t0")
    executor.run(editor(document, 0, 2), "t0", "t2")
    assert [type(got).__name__ for got in Taker.got] == ["TrajectoryDocument", "Tensor"]
    assert len(Taker.got[1]) == 9


@pytest.mark.parametrize(
    ("node", "inputs", "words"),
    [
        (
            "Tora2Overlay",
            {"frames": torch.zeros(1, 1, 1, 3).expand(97, 1024, 1024, 3), "scale": 8},
            "the overlay of 8192x8192 with 97 frames needs",
        ),
        (
            "Tora2ImageToVideo",
            {"width": 8192, "height": 8192, "frames": 1025, "batch_size": 64},
            "the latent of 8192x8192 with 1025 frames, 64 at once, needs 1028.0 GiB",
        ),
        ("Tora2Bind", {}, "binding paths of 2048x2048 with 97 frames needs"),
    ],
)
def test_what_is_too_large_is_said_before_it_is_made(
    host: Any,
    pack: builders.Pack,
    monkeypatch: pytest.MonkeyPatch,
    node: str,
    inputs: dict[str, Any],
    words: str,
) -> None:
    free(monkeypatch, 8)
    trajectories = pack("tora2.trajectory").parse({**LARGE, "tracks": [TRACK]})
    if node == "Tora2ImageToVideo":
        text = [[torch.zeros(1, 1, 1), {}]]
        given = {"positive": text, "negative": text, "vae": None, "fit": "crop"}
        inputs = {**given, "image": torch.zeros(1, 8, 8, 3), **inputs, "vae": object()}
    elif node == "Tora2Overlay":
        inputs = {**inputs, "trajectories": trajectories}
    else:
        patcher = pack("nodes.host.adapters").manage(builders.adapter(pack))
        loaded = pack("nodes.io_types").LoadedAdapter(patcher, "small")
        inputs = {"adapter": loaded, "trajectories": trajectories, "vae": object()}
    with pytest.raises(ValueError, match=words) as caught:
        host.NODE_CLASS_MAPPINGS[node].execute(**inputs)
    assert "8.0 GiB are free" in str(caught.value)


def required(host: Any) -> list[tuple[str, str, Any]]:
    """Every input of ours that must be given and is not a widget that the host converts itself."""
    found = []
    for name, node in host.NODE_CLASS_MAPPINGS.items():
        if name.startswith("Tora2"):
            for input in node.define_schema().inputs:
                if not input.optional and not (input.extra_dict or {}).get("socketless"):
                    found.append((name, input.id, node))
    return found


def test_no_value_in_a_required_input_is_named(host: Any, executor: Executor) -> None:
    checked = required(host)
    assert {name for name, *_ in checked} >= {
        "Tora2Bind",
        "Tora2ExportTrajectories",
        "Tora2ImportTrajectories",
        "Tora2LoadEntity",
        "Tora2SaveEntity",
    }
    for name, missing, node in checked:
        inputs = {i.id: getattr(i, "default", None) for i in node.define_schema().inputs}
        inputs = {key: value for key, value in inputs.items() if value is not None}
        others = {i: 0 for _, i, n in checked if n is node and i not in inputs}
        given = {**others, **inputs}
        for value in (None, ["n", 0]):
            prompt = {
                "n": {"class_type": "Nothing", "inputs": {}},
                "1": {"class_type": name, "inputs": {**given, missing: value}},
            }
            said = executor.error(prompt, "1")
            assert said.startswith(f"{name}: {missing} is null, expected "), (name, missing, said)


@pytest.mark.parametrize("value", [3, "x", {"a": 1}, [{"x": 1}]])
def test_what_is_no_picture_is_named(host: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="Tora2TrajectoryEditor: background is .*expected"):
        host.NODE_CLASS_MAPPINGS["Tora2TrajectoryEditor"].execute(document=None, background=value)


def test_optional_inputs_may_be_null(host: Any) -> None:
    made = host.NODE_CLASS_MAPPINGS["Tora2TrajectoryEditor"].execute(
        document=None, background=None, masks=None, width=None, height=None, frames=None
    )
    assert made.result[0].frames == 49
