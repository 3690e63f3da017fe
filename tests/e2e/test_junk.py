"""Whatever a client sends, the server answers with a sentence and stays up."""

from typing import Any

import pytest

JUNK = [
    ("Tora2Sampler", "steps", -5),
    ("Tora2Sampler", "steps", "many"),
    ("Tora2Sampler", "steps", 10**18),
    ("Tora2Sampler", "guidance", "NaN"),
    ("Tora2Sampler", "guidance_mode", {"a": 1}),
    ("Tora2Sampler", "model", "a word"),
    ("Tora2Apply", "motion_strength", 1e30),
    ("Tora2Apply", "conditioning", [1, 2, 3]),
    ("Tora2Bind", "adapter", "../../../etc/passwd"),
    ("Tora2LoadModel", "model", "../../../etc/passwd"),
    ("Tora2LoadAdapter", "adapter", "/etc/passwd"),
    ("Tora2LoadEntity", "file", "../x"),
    ("Tora2EncodeEntity", "strength", -1e308),
    ("Tora2ImageToVideo", "frames", 48),
    ("Tora2ImportTrajectories", "text", '{"version": 2}'),
    ("Tora2ImportTrajectories", "text", "[[{}]]"),
    ("Tora2ImportTrajectories", "file", "../../x.json"),
    ("Tora2ExportTrajectories", "filename_prefix", "../../../tmp/x"),
    ("Tora2ExportTrajectories", "format", 7),
    ("Tora2Overlay", "scale", 10**9),
    ("Tora2TrajectoryEditor", "document", {"version": -1}),
    ("Tora2TrajectoryEditor", "document", "<svg>"),
]


@pytest.mark.parametrize(("node", "name", "value"), JUNK)
def test_junk_is_refused(server: Any, node: str, name: str, value: Any) -> None:
    prompt = {
        "1": {"class_type": node, "inputs": {name: value}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    status, answer = server.post("/prompt", {"prompt": prompt})
    assert status == 400
    error = answer["node_errors"]["1"]
    assert error["class_type"] == node
    named = [e for e in error["errors"] if e["extra_info"].get("input_name") == name]
    assert named and any(len(e["details"]) > len(name) for e in named), error


MISSING = [
    ("Tora2LoadModel", "model", "diffusion_models", ("zai-org/CogVideoX-5b", "ZhipuAI/Cog")),
    ("Tora2LoadAdapter", "adapter", "tora2", ("Kijai/CogVideoX-5b-Tora", "xiaoche/Tora")),
]


@pytest.mark.parametrize(("node", "name", "folder", "ids"), MISSING)
def test_a_missing_file_says_where_to_get_one(
    server: Any, node: str, name: str, folder: str, ids: tuple[str, ...]
) -> None:
    prompt = {
        "1": {"class_type": node, "inputs": {name: "of_another_computer.safetensors"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    status, answer = server.post("/prompt", {"prompt": prompt})
    assert status == 400
    errors = answer["node_errors"]["1"]["errors"]
    (said,) = [e["details"] for e in errors if e["type"] == "custom_validation_failed"]
    assert f"{name} is 'of_another_computer.safetensors', expected one of tiny" in said
    for words in (str(server.base / "models" / folder), " GB", "CogVideoX License", *ids):
        assert words in said


def test_the_doctor_over_http(server: Any) -> None:
    run = server.run({"1": {"class_type": "Tora2Doctor", "inputs": {"sources": True}}})
    assert run.outcome == "execution_success", run.messages[-1]
    (text,) = run.of("executed")[0]["output"]["text"]
    assert "tiny.safetensors (" in text and "enables motion, appearance, binding" in text
    assert str(server.base / "models" / "tora2") in text


def test_a_hundred_entities(server: Any) -> None:
    entities = {f"entities.entity{i}": 1 for i in range(100)}
    prompt = {
        "1": {"class_type": "Tora2Bind", "inputs": entities},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    status, answer = server.post("/prompt", {"prompt": prompt})
    assert status == 400 and "entities" in str(answer["node_errors"]["1"])
    assert server.get("/system_stats")["system"]["comfyui_version"]
