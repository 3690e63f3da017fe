"""What went wrong once, at every width of the node and every zoom of the graph, in one page."""

import copy
from typing import Any

import pytest
from editor_page import DOCUMENT, MARGIN, Graph, drop, places

CAT = {"id": "cat", "name": "cat", "color": "#e4572e"}
DOG = {"id": "dog", "name": "dog", "color": "#2e86de"}
TWO: dict[str, Any] = {**copy.deepcopy(DOCUMENT), "entities": [CAT, DOG]}
HEIGHT = 740
ROOM = 20


def look(graph: Graph, width: int, zoom: float) -> None:
    """Give the node a width and the graph a zoom."""
    graph.page.evaluate(
        """([width, height, zoom]) => {
          app.graph.nodes[0].setSize([width, height]);
          app.canvas.ds.scale = zoom;
          app.canvas.ds.offset = [0, 0];
          app.canvas.setDirty(true, true);
        }""",
        [width, HEIGHT, zoom],
    )
    graph.settle(500)


def reveal(graph: Graph, selector: str) -> Any:
    """Move the graph until an element is in the middle of the page."""
    found = graph.find(selector).first
    box = found.bounding_box()
    by = 800 - box["x"] - min(box["width"], 1500) / 2, 560 - box["y"] - box["height"] / 2
    graph.page.evaluate(
        """([x, y]) => {
          const { ds } = app.canvas;
          ds.offset = [ds.offset[0] + x / ds.scale, ds.offset[1] + y / ds.scale];
          app.canvas.setDirty(true, true);
        }""",
        by,
    )
    graph.settle(120)
    return found


def scale_of(box: dict[str, float]) -> float:
    room = 1 - 2 * MARGIN
    return min(box["width"] * room / 720, box["height"] * room / 480)


def check_stage(graph: Graph, zoom: float) -> None:
    """It stays where it is, is sharp, and a point that is dragged from beside it goes as far."""
    mouse = graph.page.mouse
    stage = reveal(graph, ".tora2-canvas")
    before = stage.bounding_box()
    sharp = stage.evaluate("(canvas) => canvas.width / canvas.clientWidth")
    assert sharp == pytest.approx(zoom, abs=0.03) or sharp >= zoom
    x, y = graph.place(0.3, 0.8)
    mouse.move(x + 4, y + 3)
    mouse.down()
    assert stage.bounding_box() == before
    mouse.move(x + 24, y - 37, steps=3)
    mouse.up()
    graph.settle(100)
    assert stage.bounding_box() == before
    scale = scale_of(before)
    moved = places(graph.value(), 1)[0]
    assert moved[0] * 720 == pytest.approx(0.3 * 720 + 20 / scale, abs=0.6)
    assert moved[1] * 480 == pytest.approx(0.8 * 480 - 40 / scale, abs=0.6)


def check_middle_and_right(graph: Graph) -> None:
    """They are the editor's: the graph stays, and no menu of the node opens."""
    mouse = graph.page.mouse
    host = "[app.canvas.ds.scale, ...app.canvas.ds.offset]"
    before = graph.page.evaluate(host)
    x, y = graph.place(0.5, 0.5)
    mouse.move(x, y)
    mouse.down(button="middle")
    mouse.move(x + 30, y + 10, steps=2)
    mouse.up(button="middle")
    mouse.click(x, y, button="right")
    graph.settle(100)
    assert graph.page.evaluate(host) == before
    assert graph.page.get_by_text("Remove", exact=True).count() == 0
    graph.press("0")


def check_names(graph: Graph) -> None:
    """A name is typed, and the next one is clicked."""
    if not graph.find(".tora2-side").count():
        reveal(graph, "[data-action=layers]").click()
        graph.settle(100)
    names = ".tora2-layers input.tora2-name:not(.tora2-track-name)"
    reveal(graph, names).click()
    graph.page.keyboard.press("Control+a")
    graph.page.keyboard.type("heron")
    graph.find(names).nth(1).click()
    graph.page.keyboard.press("End")
    graph.page.keyboard.type("s")
    graph.press("Enter")
    assert [entity["name"] for entity in graph.value()["entities"]] == ["heron", "dogs"]
    small = [button.bounding_box() for button in graph.find(".tora2-panel button").all()]
    zoom = graph.page.evaluate("app.canvas.ds.scale")
    assert min(min(box["width"], box["height"]) for box in small) >= 24 * zoom - 0.5


def check_numbers(graph: Graph) -> None:
    """Start, Tab, End, Enter; every field is within the node."""
    graph.find(".tora2-canvas, .tora2-track").first.focus()
    reveal(graph, "[data-track=t1]").click()
    start = reveal(graph, ".tora2-field[data-key=Start] input")
    box = graph.find(".tora2-inspector").bounding_box()
    for field in graph.find(".tora2-inspector input, .tora2-inspector select").all():
        inner = field.bounding_box()
        assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 0.5
    start.click()
    graph.page.keyboard.press("Control+a")
    graph.page.keyboard.type("8")
    graph.page.keyboard.press("Tab")
    graph.page.keyboard.type("40")
    graph.press("Enter")
    track = graph.value()["tracks"][0]
    assert (track["start"], track["end"]) == (8, 40)
    # The key lay at 20 of 48.
    assert track["points"][1]["frame"] == pytest.approx(8 + 20 * 32 / 48, abs=1)


def check_retiming(graph: Graph) -> None:
    """A track with a key at every frame begins later; its keys move along, as many as fit."""
    points = [{"x": 0.1 + 0.02 * i, "y": 0.5, "frame": i} for i in range(41)]
    points[0].pop("frame")
    points[-1].pop("frame")
    graph.show({**TWO, "tracks": [{**TWO["tracks"][0], "points": points, "end": 40}]})
    graph.find(".tora2-canvas, .tora2-track").first.focus()
    reveal(graph, "[data-track=t1]").click()
    reveal(graph, ".tora2-field[data-key=Start] input").click()
    graph.page.keyboard.press("Control+a")
    graph.page.keyboard.type("8")
    graph.press("Enter")
    (track,) = graph.value()["tracks"]
    assert (track["start"], track["end"], len(track["points"])) == (8, 40, 41)
    frames = [point["frame"] for point in track["points"] if "frame" in point]
    assert len(frames) >= 20 and frames == sorted(set(frames))
    assert 8 < frames[0] and frames[-1] < 40


def check_new_entity(graph: Graph) -> None:
    """It ends the track that is being drawn, and is named by typing."""
    graph.show({**TWO, "entities": [CAT], "tracks": []})
    reveal(graph, ".tora2-layer[aria-current]").click()
    reveal(graph, "[data-tool=points]").click()
    reveal(graph, ".tora2-canvas")
    graph.click(0.2, 0.2)
    graph.click(0.4, 0.3)
    reveal(graph, "[data-action=new-entity]").click()
    graph.page.keyboard.type("vole")
    graph.press("Enter")
    reveal(graph, ".tora2-canvas")
    graph.click(0.6, 0.7)
    document = graph.value()
    assert [entity["name"] for entity in document["entities"]] == ["cat", "vole"]
    assert [(len(t["points"]), t["entity"]) for t in document["tracks"]] == [(2, "cat"), (1, "e2")]
    graph.press("Escape", "v")


def check_table(graph: Graph) -> None:
    """A table's frames are when its points are reached."""
    graph.show({**TWO, "tracks": []})
    drop(graph, "a.csv", "text/csv", b"frame,x,y\n0,72,48\n12,360,48\n48,648,432\n")
    (track,) = graph.value()["tracks"]
    assert (track["start"], track["end"]) == (0, 48)
    assert [point.get("frame") for point in track["points"]] == [None, 12, None]
    for place, told in zip(
        places(graph.value()), [(0.1, 0.1), (0.5, 0.1), (0.9, 0.9)], strict=True
    ):
        assert place == pytest.approx(told)


def check_menus(graph: Graph) -> None:
    """None is cut off by the node."""
    for button, menu in (
        ("[data-action=menu]", ".tora2-menu:not(.tora2-context)"),
        ("[data-action=motion]", ".tora2-floating"),
        ("[data-action=camera]", ".tora2-floating"),
    ):
        reveal(graph, button).click()
        graph.settle(100)
        inner, outer = (graph.find(s).first.bounding_box() for s in (menu, ".tora2-editor"))
        for side, length in (("x", "width"), ("y", "height")):
            assert inner[side] >= outer[side] - 0.5, menu
            assert inner[side] + inner[length] <= outer[side] + outer[length] + 0.5, menu
        graph.press("Escape")


@pytest.mark.parametrize("width", [320, 700, 1200])
def test_at_every_zoom(graph: Graph, width: int) -> None:
    graph.add(0, 0)
    for zoom in (0.5, 1.0, 2.0):
        look(graph, width, zoom)
        graph.show(TWO)
        graph.find(".tora2-canvas").focus()
        graph.press("v")
        if graph.find("[data-action=snap][aria-pressed=true]").count():
            graph.press("s")
        check_stage(graph, zoom)
        check_middle_and_right(graph)
        check_names(graph)
        check_numbers(graph)
        check_menus(graph)
        check_retiming(graph)
        check_new_entity(graph)
        check_table(graph)
    look(graph, 760, 1.0)
