"""Every workflow opens in the frontend, in both renderers, and is the prompt that it should be."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


@pytest.fixture
def page(loaded: tuple[Any, list[str]]) -> Iterator[Any]:
    opened, errors = loaded
    yield opened
    assert errors == []


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_opens(page: Any, name: str) -> None:
    shown = json.loads((ROOT / "workflows" / f"{name}.json").read_text())
    page.evaluate("(text) => app.loadGraphData(JSON.parse(text))", json.dumps(shown))
    page.wait_for_timeout(1200)
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    by_id = {str(node["id"]): node for node in shown["nodes"] if node["type"] != "MarkdownNote"}
    assert {k: v["class_type"] for k, v in prompt.items()} == {
        k: v["type"] for k, v in by_id.items()
    }
    for link, source, slot, target, place, _ in shown["links"]:
        socket = by_id[str(target)]["inputs"][place]["name"]
        assert prompt[str(target)]["inputs"][socket] == [str(source), slot], link
    for key, value in prompt.items():
        # A widget that is wired keeps a value in the file, and sends none.
        wired = sum("widget" in one for one in by_id[key]["inputs"])
        assert wired == sum(
            _is_link(value["inputs"].get(one["name"]))
            for one in by_id[key]["inputs"]
            if "widget" in one
        )
        if wired:
            continue
        given = [_plain(v) for v in by_id[key]["widgets_values"] if v != "fixed"]
        widgets = [_plain(v) for v in value["inputs"].values() if not _is_link(v)]
        # A widget that takes its value from a link keeps its own, which the prompt leaves out.
        linked = sum("widget" in socket for socket in by_id[key]["inputs"])
        if linked:
            assert not Counter(widgets) - Counter(given) and len(given) - linked == len(widgets)
            continue
        assert sorted(widgets) == sorted(given), key
    if name == "tora2_place_entities":  # the paths that are there are dragged, not drawn anew
        page.locator('[aria-label^="Select and move"][aria-pressed="true"]').first.wait_for()
    if name == "tora2_tiny_demo":
        twin = ROOT / "tests" / "e2e" / "api" / f"{name}.json"
        assert {k: v["inputs"] for k, v in prompt.items()} == {
            k: v["inputs"] for k, v in json.loads(twin.read_text()).items()
        }


def test_a_workflow_from_before_newer_widgets_opens(page: Any) -> None:
    shown = json.loads((ROOT / "workflows" / "tora2_trajectories_only.json").read_text())
    bind = next(node for node in shown["nodes"] if node["type"] == "Tora2Bind")
    bind["widgets_values"] = ["tora"]
    newer = ("flow_latents", "flow_seed", "tiled")
    bind["inputs"] = [one for one in bind["inputs"] if one["name"] not in newer]
    page.evaluate("(text) => app.loadGraphData(JSON.parse(text))", json.dumps(shown))
    page.wait_for_timeout(1200)
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    widgets = {k: v for k, v in prompt[str(bind["id"])]["inputs"].items() if not _is_link(v)}
    assert widgets == {
        "flow_mode": "tora",
        "flow_latents": "mean",
        "flow_seed": 0,
        "tiled": False,
    }


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], int)


def _plain(value: Any) -> str:
    """A widget's value as text; JavaScript writes whole floats as integers."""
    return repr(float(value)) if isinstance(value, int | float) else repr(value)
