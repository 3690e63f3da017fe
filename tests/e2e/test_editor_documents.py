"""What the editor makes of documents: junk, newer ones, names, sizes from the graph, long lists."""

import json
from pathlib import Path

import pytest
from editor_page import (
    DOCUMENT,
    Graph,
)

JUNK = {
    "wrong version": {"version": "one", "tracks": []},
    "not a number": {**DOCUMENT, "fps": "NaN"},
    "strings": {**DOCUMENT, "tracks": [{"id": "t1", "points": [{"x": "0.1", "y": "0.2"}]}]},
    "a list": [1, 2, 3],
    "text": "<script>window.pwned = 1</script>",
    "a megabyte": {**DOCUMENT, "tracks": [{"id": "t1", "points": [{"x": 0.5, "y": 0.5}] * 40_000}]},
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_said_kept_and_harmless(graph: Graph, name: str) -> None:
    graph.add()
    graph.show(JUNK[name])
    banner = graph.find(".tora2-banner")
    assert banner.is_visible() and len(banner.inner_text()) > 20
    graph.find(".tora2-canvas").click()
    assert graph.value() == JUNK[name]
    assert graph.page.evaluate("window.pwned") is None
    graph.find("[data-action=menu]").click()
    with graph.page.expect_download() as download:
        graph.find(".tora2-item").first.click()
    text = Path(download.value.path()).read_text()
    assert (text if isinstance(JUNK[name], str) else json.loads(text)) == JUNK[name]


def test_a_newer_document_is_shown_and_left_alone(graph: Graph) -> None:
    newer = {**DOCUMENT, "version": 3, "lens": {"zoom": 1.5}}
    graph.add()
    graph.show(newer)
    assert "3" in graph.find(".tora2-banner").inner_text()
    assert graph.find("[data-track]").count() == 2
    graph.find(".tora2-canvas").focus()
    graph.press("Control+a", "Delete", "p")
    graph.click(0.5, 0.5)
    assert graph.value() == newer


def test_names_are_text(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    assert graph.page.locator(".tora2-editor img").count() == 0
    name = graph.find(".tora2-layers input.tora2-name:not(.tora2-track-name)").input_value()
    assert name == DOCUMENT["entities"][0]["name"]  # type: ignore[index]
    assert graph.page.evaluate("window.pwned") is None


def test_connected_sizes_win(graph: Graph) -> None:
    graph.add(500, 140)
    graph.show(DOCUMENT)
    graph.page.evaluate(
        """() => {
          const editor = app.graph.nodes[0];
          for (const [name, value] of [["width", 512], ["frames", 25]]) {
            const number = LiteGraph.createNode("PrimitiveInt");
            app.graph.add(number);
            number.widgets[0].value = value;
            const slot = editor.inputs.findIndex((input) => input.name === name);
            number.connect(0, editor, slot);
          }
        }"""
    )
    graph.settle()
    fields = graph.find(".tora2-inspector input")
    assert [fields.nth(i).input_value() for i in range(3)] == ["512", "480", "25"]
    assert fields.nth(0).is_disabled() and fields.nth(1).is_enabled()
    assert graph.value() == DOCUMENT  # until it is edited
    graph.page.evaluate(
        """() => {
          app.graph.nodes[1].widgets[0].value = 640;
          app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState();
        }"""
    )
    graph.settle()
    assert fields.nth(0).input_value() == "640"
    graph.page.evaluate("app.graph.nodes[0].disconnectInput('width')")
    graph.settle()
    assert fields.nth(0).input_value() == "720"
    graph.find(".tora2-canvas").focus()
    graph.press("Control+a", "ArrowRight")
    edited = graph.value()
    assert (edited["width"], edited["frames"], edited["tracks"][0]["end"]) == (720, 25, 24)
    assert edited["tracks"][0]["points"][1]["frame"] == 10


def test_a_long_list_of_layers_does_not_make_the_node_grow(graph: Graph) -> None:
    graph.add()
    before = graph.find(".tora2-editor").bounding_box()["height"]
    entities = [{"id": f"e{i}", "name": f"entity {i}", "color": "#e4572e"} for i in range(64)]
    graph.show({**DOCUMENT, "entities": entities, "tracks": []})
    assert graph.find(".tora2-layer").count() == 64
    assert graph.find(".tora2-editor").bounding_box()["height"] == before
    assert graph.find(".tora2-canvas").bounding_box()["height"] < before
