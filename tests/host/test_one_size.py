"""Paths and video of one size: given on, and said at once where it is not."""

import asyncio
import copy
import json
from typing import Any

import builders
import pytest

DOCUMENT = {
    "version": 1,
    "width": 96,
    "height": 64,
    "frames": 9,
    "tracks": [{"id": "a", "points": [{"x": 0.2, "y": 0.2}, {"x": 0.7, "y": 0.6}]}],
}
WAN = {
    "1": {"class_type": "Tora2TrajectoryEditor", "inputs": {"document": DOCUMENT}},
    "2": {"class_type": "Tora2Tracks", "inputs": {"trajectories": ["1", 0]}},
    "3": {
        "class_type": "WanMoveTrackToVideo",
        "inputs": {"tracks": ["2", 0], "width": 832, "height": 480, "length": 81},
    },
    "4": {
        "class_type": "KSampler",
        "inputs": {"positive": ["3", 0], "latent_image": ["3", 2]},
    },
    "5": {"class_type": "ImageScale", "inputs": {"image": ["1", 2], "width": 7, "height": 7}},
    "6": {"class_type": "ImageScale", "inputs": {"image": ["4", 0], "width": 7, "height": 7}},
}
CUT = {
    "1": {"class_type": "Tora2TrajectoryEditor", "inputs": {"document": DOCUMENT}},
    "2": {"class_type": "Tora2Bind", "inputs": {"trajectories": ["1", 0]}},
    "3": {"class_type": "Tora2Apply", "inputs": {"conditioning": ["2", 0]}},
    "4": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["3", 0]}},
    "5": {"class_type": "Tora2Sampler", "inputs": {"model": ["4", 0], "latent": ["6", 0]}},
    "6": {
        "class_type": "EmptyHunyuanLatentVideo",
        "inputs": {"width": 96, "height": 64, "length": 49},
        "_meta": {"title": "Empty"},
    },
}
SIZE = (96, 64, 9)


def changed(prompt: dict[str, Any], node: str, **inputs: Any) -> dict[str, Any]:
    result = copy.deepcopy(prompt)
    result[node]["inputs"] |= inputs
    return result


def test_a_latent_of_the_paths_size(host: Any, pack: builders.Pack) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2EmptyVideo"]
    document = pack("tora2.trajectory").parse(DOCUMENT)
    latent, *size = node.execute(document, 2).result
    assert latent["samples"].shape == (2, 16, 3, 8, 12) and size == list(SIZE)
    odd = pack("tora2.trajectory").parse({**DOCUMENT, "width": 100})
    with pytest.raises(ValueError, match="100x64 with 9 frames, expected 4k"):
        node.execute(odd)


def test_a_sampler_of_another_size_is_found(pack: builders.Pack) -> None:
    mismatch = pack("nodes.sizes").mismatch
    assert mismatch(CUT, "1", SIZE) == (
        "the paths are drawn for 96x64 with 9 frames but Empty (node 6) makes 96x64 with 49 "
        "frames; use Tora2 Empty Video, or give both one size"
    )
    assert mismatch(changed(CUT, "6", length=9), "1", SIZE) is None
    assert mismatch(changed(CUT, "6", length=["1", 3]), "1", SIZE) is None
    assert mismatch(changed(CUT, "6", width=["1", 3]), "1", SIZE) is None
    assert mismatch(WAN, "1", SIZE) is None  # other models run all the same, and are warned of


def test_other_models_are_warned_of(pack: builders.Pack) -> None:
    sizes = pack("nodes.sizes")
    (line,) = sizes.warnings(WAN, "1", SIZE)
    assert line.startswith(
        "the paths are drawn for 96x64 with 9 frames but WanMoveTrackToVideo (node 3) makes "
        "832x480 with 81 frames: connect"
    )
    assert sizes.queue_warnings(WAN) == {"1": [line]}
    linked = changed(WAN, "3", width=["2", 2], height=["2", 3], length=["2", 4])
    assert sizes.queue_warnings(linked) == {"1": []}
    assert sizes.queue_warnings(changed(WAN, "1", width=832, height=480, frames=81)) == {"1": []}
    assert sizes.queue_warnings(changed(WAN, "1", width=["9", 0])) == {}
    assert sizes.queue_warnings(changed(WAN, "1", document={**DOCUMENT, "tracks": []})) == {}
    assert sizes.queue_warnings(CUT) == {"1": []}


@pytest.mark.parametrize("junk", [None, 5, [], {}, {"inputs": 5}, {"class_type": 3, "inputs": {}}])
def test_junk_in_a_prompt_stops_nothing(pack: builders.Pack, junk: Any) -> None:
    sizes = pack("nodes.sizes")
    for node in WAN:
        sizes.queue_warnings({**WAN, node: junk})
        if node != "1":
            sizes.mismatch({**CUT, node: junk}, "1", SIZE)
    assert sizes.queue_warnings({"1": {**WAN["1"], "inputs": {"document": "{"}}}) == {}


def test_the_host_refuses_it_when_it_is_queued(host: Any, pack: builders.Pack) -> None:
    import execution

    tiny = {"adapter": ["1", 3], "clip": ["1", 1], "vae": ["1", 2]}
    prompt: dict[str, Any] = {
        "1": {"class_type": "Tora2LoadTiny", "inputs": {}},
        "2": {"class_type": "Tora2TrajectoryEditor", "inputs": {"document": DOCUMENT}},
        "3": {"class_type": "Tora2Bind", "inputs": {"trajectories": ["2", 0], **tiny}},
        "4": {"class_type": "Tora2Apply", "inputs": {"model": ["1", 0], "conditioning": ["3", 0]}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a star"}},
        "6": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 96, "height": 64, "batch_size": 1},
        },
        "7": {
            "class_type": "Tora2Sampler",
            "inputs": {"model": ["4", 0], "positive": ["5", 0], "latent": ["6", 0], "steps": 1}
            | {"seed": 0, "guidance": 1.0, "guidance_mode": "constant", "denoise": 1.0},
        },
        "8": {
            "class_type": "SaveLatent",
            "inputs": {"samples": ["7", 0], "filename_prefix": "x"},
        },
    }
    for node in ("3", "4"):
        for input in host.NODE_CLASS_MAPPINGS[prompt[node]["class_type"]].define_schema().inputs:
            if getattr(input, "default", None) is not None:
                prompt[node]["inputs"].setdefault(input.id, input.default)
    queue = pack("nodes.host.queue")

    async def errors() -> str:
        queue._queued.set(prompt)  # as the server's hook does
        _, _, _, found = await execution.validate_prompt("p", prompt, None)
        return json.dumps(found)

    assert asyncio.run(errors()) == "{}"
    prompt["6"]["inputs"]["width"] = 112
    said = asyncio.run(errors())
    assert "drawn for 96x64 with 9 frames but EmptyLatentImage (node 6) makes 112x64; use" in said


def test_queueing_shows_warnings_on_the_node(
    pack: builders.Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = pack("nodes.host.queue")
    from server import PromptServer

    class Server:
        client_id = "me"

        def add_on_prompt_handler(self, handler: Any) -> None:
            self.handler = handler

        def send_progress_text(self, text: str, node: str, client: str) -> None:
            self.sent = (text, node, client)

    server = Server()
    monkeypatch.setattr(PromptServer, "instance", server, raising=False)
    queue.watch(pack("nodes.sizes").queue_warnings)
    request = {"prompt": WAN, "client_id": "you"}
    assert server.handler(request) is request and queue.validated() is WAN
    assert server.sent[1:] == ("1", "you") and "832x480" in server.sent[0]
    server.handler({"prompt": 7})
    assert queue.validated() is None
