"""The editor in headless Chromium on a real ComfyUI, in both renderers: drawing, time, saving."""

import json

import pytest
from editor_page import (
    DOCUMENT,
    MARGIN,
    Graph,
    places,
)


def test_drawing_and_the_hosts_own_undo(graph: Graph) -> None:
    graph.add()
    for x, y in ((0.2, 0.7), (0.4, 0.25), (0.7, 0.6)):
        graph.click(x, y)
    graph.press("Enter")
    drawn = graph.value()
    assert [len(track["points"]) for track in drawn["tracks"]] == [3]
    graph.press("Control+z")
    assert len(places(graph.value())) == 2
    graph.press("Control+z")
    assert len(places(graph.value())) == 1
    graph.press("Control+y")
    graph.press("Control+y")
    assert graph.value() == drawn
    graph.press("v")
    graph.drag((0.4, 0.25), (0.45, 0.4))
    moved = places(graph.value())[1]
    assert moved == pytest.approx((0.45, 0.4), abs=0.02)
    graph.press("Control+z")
    assert graph.value() == drawn
    graph.press("Control+a", "Delete")
    assert graph.value()["tracks"] == []
    graph.find("[data-action=undo]").click()
    graph.settle(700)
    assert graph.value() == drawn


def test_freehand_anchor_and_keys(graph: Graph) -> None:
    graph.add()
    graph.find(".tora2-canvas").focus()
    graph.press("b")
    graph.drag((0.1, 0.1), (0.8, 0.15))
    graph.press("a")
    graph.click(0.6, 0.8)
    stroke, anchor = graph.value()["tracks"]
    assert len(stroke["points"]) >= 2 and len(anchor["points"]) == 1
    before = places(graph.value(), 1)[0]
    graph.press("ArrowRight", "Shift+ArrowDown")
    x, y = places(graph.value(), 1)[0]
    assert (x - before[0]) * 720 == pytest.approx(1, abs=0.01)
    assert (y - before[1]) * 480 == pytest.approx(10, abs=0.01)
    graph.press("Control+d")
    assert len(graph.value()["tracks"]) == 3


@pytest.mark.parametrize("zoom", [0.6, 1.0, 1.5])
def test_coordinates_at_every_zoom(graph: Graph, zoom: float) -> None:
    graph.add()
    graph.page.evaluate(
        "(z) => { app.canvas.ds.scale = z; app.canvas.ds.offset = [-60, -60];"
        " app.canvas.setDirty(true, true); }",
        zoom,
    )
    graph.settle(600)
    graph.find(".tora2-canvas").focus()
    graph.press("s", "a")  # no snapping, anchors
    box = graph.find(".tora2-canvas").bounding_box()
    room = 1 - 2 * MARGIN
    scale = min(box["width"] * room / 720, box["height"] * room / 480)
    for x, y in ((0.2, 0.3), (0.55, 0.45)):
        screen = [round(value) for value in graph.place(x, y)]
        graph.page.mouse.click(*screen)
        graph.settle()
        exact = (
            0.5 + (screen[0] - box["x"] - box["width"] / 2) / (720 * scale),
            0.5 + (screen[1] - box["y"] - box["height"] / 2) / (480 * scale),
        )
        point = places(graph.value(), -1)[0]
        assert abs(point[0] - exact[0]) * 720 < 0.5
        assert abs(point[1] - exact[1]) * 480 < 0.5


def test_saving_cloning_and_subgraphs_keep_the_document(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    saved = graph.page.evaluate("JSON.stringify(app.graph.serialize())")
    assert json.loads(saved)["nodes"][0]["widgets_values"] == [DOCUMENT, "crop"]
    graph.page.evaluate("(text) => app.loadGraphData(JSON.parse(text))", saved)
    graph.settle(1000)
    assert graph.value() == DOCUMENT
    graph.page.evaluate(
        """() => {
          const node = app.graph.nodes[0];
          app.canvas.copyToClipboard([node]);
          app.canvas.pasteFromClipboard({ position: [1000, 140] });
        }"""
    )
    graph.settle(1000)
    assert graph.value(1) == DOCUMENT
    graph.find(".tora2-canvas").first.focus()
    graph.press("Control+a", "Delete")
    assert graph.value(0)["tracks"] == []
    assert graph.value(1) == DOCUMENT
    graph.page.evaluate(
        """() => {
          app.graph.convertToSubgraph(new Set([app.graph.nodes[1]]));
          app.canvas.setGraph([...app.rootGraph.subgraphs.values()][0]);
        }"""
    )
    graph.settle(1000)
    assert graph.value() == DOCUMENT
    graph.find(".tora2-canvas").first.wait_for()


def test_copy_and_paste_between_editors(graph: Graph) -> None:
    graph.add(100, 140)
    graph.add(900, 140)
    graph.show(DOCUMENT, 0)
    graph.find(".tora2-canvas").nth(0).focus()
    graph.press("Control+a", "Control+c")
    graph.find(".tora2-canvas").nth(1).focus()
    graph.press("Control+v")
    pasted = graph.value(1)
    assert [len(track["points"]) for track in pasted["tracks"]] == [3, 1]
    assert pasted["entities"][0]["name"] == DOCUMENT["entities"][0]["name"]  # type: ignore[index]
    assert graph.value(0) == DOCUMENT


def test_the_timeline_in_the_page(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    box = graph.find(".tora2-timeline").bounding_box()
    left, right = box["x"] + 76, box["x"] + box["width"] - 12  # frames 0 and 48
    y = box["y"] + 30
    mouse = graph.page.mouse
    mouse.move(right, y)
    mouse.down()
    mouse.move(left + (right - left) * 36 / 48, y, steps=4)
    mouse.up()
    graph.settle()
    assert graph.value()["tracks"][0]["end"] == 36
    graph.find(".tora2-canvas").focus()
    graph.press("Home", ".", ".")
    assert graph.find(".tora2-clock").inner_text().startswith("2 / 48 · 0.25 s")
    graph.press(" ")
    graph.settle(900)
    graph.press(" ")
    assert not graph.find(".tora2-clock").inner_text().startswith("2 / 48")


def test_full_screen_keeps_the_hosts_undo(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    graph.find(".tora2-canvas").focus()
    graph.press("f")
    assert graph.find(".tora2-page .tora2-canvas").count() == 1
    graph.press("Control+a", "Delete")
    assert graph.value()["tracks"] == []
    graph.press("Control+z")
    assert graph.value() == DOCUMENT
    assert graph.find(".tora2-page .tora2-canvas").count() == 1
    graph.press("Escape", "Escape")
    assert graph.find(".tora2-page").count() == 0
    assert graph.find(".tora2-mount .tora2-canvas").count() == 1


def test_a_second_copy_of_the_pack_is_told_of_and_left_out(graph: Graph) -> None:
    said: list[str] = []
    graph.page.on("console", lambda line: said.append(f"{line.type}: {line.text}"))
    graph.page.evaluate("import('/extensions/tora2/host.mjs?a-second-copy')")
    graph.settle()
    (warning,) = [line for line in said if "Tora2" in line]
    assert warning.startswith("warning: ") and "?a-second-copy" in warning
    graph.add()
    assert graph.find(".tora2-canvas").count() == 1
