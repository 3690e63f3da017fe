"""An entity is encoded, saved, loaded and shown on a real server, and encoders may be absent."""

import json
from pathlib import Path
from typing import Any

DEMO = Path(__file__).parent / "api" / "tora2_tiny_demo.json"
FILE = "tora2/entities/circle_00001_.safetensors"


def shown(run: Any, node: str) -> str:
    """The text that a node showed."""
    (message,) = [m for m in run.of("executed") if m["node"] == node]
    return "\n".join(message["output"]["text"])


def encoding() -> dict[str, Any]:
    """The demo's loader, as 1, and its first entity, as 3."""
    demo = json.loads(DEMO.read_text())
    return {"1": demo["1"], "3": demo["3"]}


def preview(node: str, output: int) -> dict[str, Any]:
    return {"class_type": "PreviewAny", "inputs": {"source": [node, output]}}


def test_an_entity_is_kept_and_used_again(server: Any) -> None:
    from tora2.encoders.entity_file import load_entity

    keep = encoding() | {
        "20": {
            "class_type": "Tora2SaveEntity",
            "inputs": {"entity": ["3", 0], "filename_prefix": "tora2/entities/circle"},
        },
        "21": preview("3", 2),
    }
    saving = server.run(keep)
    assert saving.outcome == "execution_success", saving.messages[-1]
    assert shown(saving, "20") == f"Saved as {FILE}"
    kept = server.base / "output" / FILE
    assert kept.is_file()
    assert load_entity(kept).word == "circle"
    (thumbnail,) = server.files(saving)["20"]
    assert thumbnail.is_file()

    use = {
        "30": {
            "class_type": "Tora2LoadEntity",
            "inputs": {"file": f"{FILE} [output]", "word": "", "strength": 1.0},
        },
        "31": preview("30", 2),
    }
    loading = server.run(use)
    assert loading.outcome == "execution_success", loading.messages[-1]
    assert shown(loading, "31") == shown(saving, "21")
    assert shown(loading, "31").startswith("'circle', 1 pictures")


def absent_encoders() -> dict[str, Any]:
    inputs = {
        "face": "none",
        "object": "none",
        "face_recogniser": "of the folder",
        "cache": "memory",
    }
    return {"40": {"class_type": "Tora2LoadEncoders", "inputs": inputs}, "41": preview("40", 1)}


def test_without_any_encoder_the_report_says_what_is_missing(server: Any) -> None:
    run = server.run(absent_encoders())
    assert run.outcome == "execution_success", run.messages[-1]
    lines = shown(run, "41").splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "No semantic encoder",
        "No face encoder",
        "No object encoder",
    ]


def test_a_picture_without_any_encoder_ends_in_a_sentence(server: Any) -> None:
    prompt = encoding() | absent_encoders()
    prompt["3"]["inputs"]["encoders"] = ["40", 0]
    prompt["50"] = preview("3", 2)
    run = server.run(prompt)
    assert run.outcome == "execution_error"
    (error,) = run.of("execution_error")
    assert error["node_id"] == "3" and error["exception_type"] == "ValueError"
    assert "no semantic encoder" in error["exception_message"]
