"""The layers and the numbers: what is clicked and typed there arrives, at any width."""

import copy
from typing import Any

import pytest
from editor_page import DOCUMENT, MARGIN, Graph, places

CAT = {"id": "cat", "name": "cat", "color": "#e4572e"}
DOG = {"id": "dog", "name": "dog", "color": "#2e86de"}
TWO: dict[str, Any] = {**copy.deepcopy(DOCUMENT), "entities": [CAT, DOG]}


def focused(graph: Graph) -> str:
    script = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName"
    return str(graph.page.evaluate(script))


def names(graph: Graph) -> list[str]:
    return [entity["name"] for entity in graph.value()["entities"]]


def field(graph: Graph, name: str) -> Any:
    return graph.find(f".tora2-field[data-key={name}] input")


def test_one_name_after_the_other(graph: Graph) -> None:
    graph.add()
    graph.show(TWO)
    fields = graph.find(".tora2-layers input.tora2-name:not(.tora2-track-name)")
    fields.nth(0).click()
    graph.page.keyboard.press("Control+a")
    graph.page.keyboard.type("heron")
    fields.nth(1).click()
    graph.page.keyboard.press("Control+a")
    graph.page.keyboard.type("wolf")
    graph.settle()
    assert focused(graph) == "Name of the entity"
    graph.press("Enter")
    assert names(graph) == ["heron", "wolf"]


def test_start_tab_end_enter(graph: Graph) -> None:
    graph.add()
    graph.show({**TWO, "tracks": [{**TWO["tracks"][1], "entity": "cat"}]})
    graph.find("[data-track=t2]").click()
    field(graph, "Start").click()
    graph.page.keyboard.press("Control+a")
    graph.page.keyboard.type("8")
    graph.page.keyboard.press("Tab")
    assert focused(graph).startswith("End")
    graph.page.keyboard.type("40")
    graph.press("Enter")
    (track,) = graph.value()["tracks"]
    assert (track["start"], track["end"]) == (8, 40)


def test_what_is_clicked_after_typing_is_clicked(graph: Graph) -> None:
    graph.add()
    graph.show(TWO)
    name = graph.find(".tora2-layers input.tora2-name:not(.tora2-track-name)").nth(0)
    rows = graph.find(".tora2-layer")
    name.click()
    graph.page.keyboard.type("!")
    rows.nth(1).get_by_label("Hide").click()
    graph.settle()
    hidden = graph.page.evaluate("app.graph.nodes[0].properties.tora2_layers.hidden")
    assert hidden == ["entity:dog"]
    name.click()
    graph.page.keyboard.type("?")
    graph.find("[data-track=t2]").click()
    graph.settle()
    assert graph.find("[data-track=t2][aria-current=true]").count() == 1
    field(graph, "Start").click()
    graph.page.keyboard.type("1")
    graph.find("select[data-key=easing]").click()
    graph.settle()
    assert focused(graph) == "Easing"
    graph.page.keyboard.press("Escape")
    graph.find("select[data-key=easing]").select_option("out")
    graph.settle()
    assert graph.value()["tracks"][1]["easing"] == "out"
    assert names(graph)[0].count("!") == names(graph)[0].count("?") == 1


def test_a_new_entity_ends_the_track_and_is_named_at_once(graph: Graph) -> None:
    graph.add()
    graph.show({**TWO, "entities": [CAT], "tracks": []})
    graph.find(".tora2-layer[aria-current]").first.click()
    graph.find("[data-tool=points]").click()
    graph.click(0.2, 0.2)
    graph.click(0.4, 0.3)
    graph.find("[data-action=new-entity]").click()
    graph.page.keyboard.type("vole")
    graph.press("Enter")
    graph.click(0.6, 0.7)
    document = graph.value()
    assert names(graph) == ["cat", "vole"]
    assert [(len(t["points"]), t["entity"]) for t in document["tracks"]] == [(2, "cat"), (1, "e2")]


def test_escape_gives_a_name_back_and_composing_is_not_the_end(graph: Graph) -> None:
    graph.add()
    graph.show(TWO)
    name = graph.find(".tora2-layers input.tora2-name:not(.tora2-track-name)").nth(0)
    name.click()
    graph.page.keyboard.type("never")
    graph.press("Escape")
    assert graph.value() == TWO
    assert name.input_value() == "cat"
    name.click()
    compose = """(element) => {
      const init = { key: "Enter", bubbles: true, isComposing: true };
      element.dispatchEvent(new KeyboardEvent("keydown", init));
    }"""
    name.evaluate(compose)
    assert focused(graph) == "Name of the entity"


def size(graph: Graph, width: int, height: int = 740) -> None:
    graph.page.evaluate(
        "([w, h]) => { app.graph.nodes[0].setSize([w, h]); app.canvas.setDirty(true, true); }",
        [width, height],
    )
    graph.settle(500)


WIDTHS = pytest.mark.parametrize("width", [320, 700, 1200])


@WIDTHS
def test_the_stage_does_not_move_under_the_pointer(graph: Graph, width: int) -> None:
    graph.add(60, 140)
    size(graph, width)
    graph.show({**TWO, "tracks": []})
    graph.find("[data-tool=points]").click()
    stage = graph.find(".tora2-canvas")
    before = stage.bounding_box()
    graph.click(0.3, 0.4)
    assert stage.bounding_box() == before
    graph.click(0.6, 0.4)
    graph.press("Enter", "v")
    graph.drag((0.6, 0.4), (0.7, 0.6))
    assert stage.bounding_box() == before
    assert places(graph.value())[1] == pytest.approx((0.7, 0.6), abs=0.012)


def test_a_stage_that_changes_its_size_keeps_what_is_dragged(graph: Graph) -> None:
    graph.add(60, 140)
    graph.show({**TWO, "tracks": [{**TWO["tracks"][1], "entity": "cat"}]})
    graph.find(".tora2-canvas").focus()
    graph.press("v")
    mouse = graph.page.mouse
    start = graph.place(0.3, 0.8)
    mouse.move(*start)
    mouse.down()
    mouse.move(start[0] + 30, start[1] - 40, steps=3)
    held = graph.find(".tora2-canvas").bounding_box()
    graph.page.evaluate("app.graph.nodes[0].setSize([900, 900])")
    graph.settle(400)
    now = graph.find(".tora2-canvas").bounding_box()
    by = now["x"] - held["x"], now["y"] - held["y"]
    mouse.move(start[0] + 31 + by[0], start[1] - 40 + by[1])
    mouse.up()
    graph.settle()
    room = 1 - 2 * MARGIN
    scale = min(held["width"] * room / 720, held["height"] * room / 480)
    wanted = 0.3 + 31 / (720 * scale), 0.8 - 40 / (480 * scale)
    assert places(graph.value())[0] == pytest.approx(wanted, abs=0.012)


@pytest.mark.parametrize("width", [560, 600, 650, 700])
def test_every_number_is_within_the_node(graph: Graph, width: int) -> None:
    graph.add(60, 140)
    size(graph, width)
    graph.show(TWO)
    graph.find(".tora2-canvas").focus()
    graph.press("n", "n")
    box = graph.find(".tora2-inspector").bounding_box()
    fields = graph.find(".tora2-inspector input, .tora2-inspector select")
    assert fields.count() == 7
    for i in range(7):
        field = fields.nth(i).bounding_box()
        assert field["x"] + field["width"] <= box["x"] + box["width"]
        assert field["width"] >= 36


MANY = [{**TWO["tracks"][0], "id": f"t{i}", "entity": None} for i in range(1, 41)]
for i, track in enumerate(MANY):
    track["points"] = [{"x": 0.1, "y": 0.02 * i + 0.1}, {"x": 0.9, "y": 0.02 * i + 0.1}]


def test_what_is_selected_on_the_stage_is_seen_in_the_list(graph: Graph) -> None:
    graph.add()
    graph.show({**TWO, "tracks": MANY})
    graph.find(".tora2-canvas").focus()
    graph.press("v")
    graph.click(0.1, 0.02 * 39 + 0.1)
    row = graph.find("[data-track=t40]").bounding_box()
    box = graph.find(".tora2-layers").bounding_box()
    assert box["y"] <= row["y"] and row["y"] + row["height"] <= box["y"] + box["height"] + 1
    label = graph.find("[data-track=t40]").get_attribute("aria-label")
    assert label == "Track t40, 2 points, frames 0 to 48"
    timeline = graph.find(".tora2-timeline").bounding_box()
    graph.page.mouse.click(timeline["x"] + 20, timeline["y"] + timeline["height"] - 6)
    graph.settle()
    chosen = graph.find("[data-partly]")
    assert chosen.count() == 1 and chosen.get_attribute("data-track") in ("t39", "t40")


def test_buttons_of_the_layers_are_large_enough(graph: Graph) -> None:
    graph.add()
    graph.show(TWO)
    for button in graph.find(".tora2-panel button").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 24
    graph.find("[data-track=t2]").click()
    graph.find(".tora2-heading").get_by_label("Delete").click()
    graph.settle()
    assert [track["id"] for track in graph.value()["tracks"]] == ["t1"]
    graph.find(".tora2-layer").nth(1).click(position={"x": 6, "y": 14})
    graph.find(".tora2-heading").get_by_label("Delete the entity and its tracks").click()
    graph.settle()
    assert names(graph) == ["cat"]


def test_the_timeline_is_made_higher(graph: Graph) -> None:
    graph.add()
    graph.show({**TWO, "tracks": MANY})
    before = graph.find(".tora2-timeline").bounding_box()["height"]
    edge = graph.find(".tora2-edge").bounding_box()
    mouse = graph.page.mouse
    mouse.move(edge["x"] + 100, edge["y"] + 3)
    mouse.down()
    mouse.move(edge["x"] + 100, edge["y"] - 57, steps=4)
    mouse.up()
    graph.settle()
    assert graph.find(".tora2-timeline").bounding_box()["height"] == pytest.approx(
        before + 60, abs=2
    )
    mouse.move(edge["x"] + 100, edge["y"] - 200, steps=2)
    graph.find(".tora2-edge").focus()
    graph.press("ArrowUp")
    assert graph.find(".tora2-timeline").bounding_box()["height"] == pytest.approx(
        before + 80, abs=2
    )


def test_the_canvas_is_as_sharp_as_the_graph_is_zoomed(graph: Graph) -> None:
    graph.add()
    graph.show(TWO)
    density = "(canvas) => canvas.width / canvas.clientWidth"
    for zoom in (2.0, 1.0, 1.5):
        graph.page.evaluate(
            "(z) => { app.canvas.ds.scale = z; app.canvas.setDirty(true, true); }", zoom
        )
        graph.settle(900)
        assert graph.find(".tora2-canvas").evaluate(density) == pytest.approx(zoom, abs=0.02)
    graph.page.evaluate("app.canvas.ds.scale = 1; app.canvas.setDirty(true, true)")
    graph.settle(600)


def test_points_are_taken_hold_of_in_a_small_graph(graph: Graph) -> None:
    graph.add()
    graph.show(TWO)
    graph.page.evaluate("app.canvas.ds.scale = 0.25; app.canvas.setDirty(true, true)")
    graph.settle(900)
    graph.find(".tora2-canvas").focus()
    graph.press("v")
    x, y = graph.place(0.3, 0.8)
    graph.page.mouse.click(x + 4, y + 4)
    graph.settle()
    selected = graph.find("[data-partly]")
    assert selected.count() == 1 and selected.get_attribute("data-track") == "t2"
    graph.page.evaluate("app.canvas.ds.scale = 1; app.canvas.setDirty(true, true)")
    graph.settle(600)


def test_fitting_shows_what_lies_off_the_frame(graph: Graph) -> None:
    graph.add()
    off = {**TWO["tracks"][1], "points": [{"x": 1.8, "y": 0.5}]}
    graph.show({**TWO, "tracks": [off]})
    graph.find("[data-action=fit]").click()
    graph.press("v")
    box = graph.find(".tora2-canvas").bounding_box()
    room = 1 - 2 * MARGIN
    scale = min(box["width"] * room / (1.8 * 720), box["height"] * room / 480)
    x = box["x"] + box["width"] / 2 + 0.9 * 720 * scale
    graph.page.mouse.click(x, box["y"] + box["height"] / 2)
    graph.settle()
    assert graph.find("[data-partly]").count() == 1
