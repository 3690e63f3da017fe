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
    fields = graph.find(".tora2-layers input.tora2-name")
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
    assert focused(graph) == "End"
    graph.page.keyboard.type("40")
    graph.press("Enter")
    (track,) = graph.value()["tracks"]
    assert (track["start"], track["end"]) == (8, 40)


def test_what_is_clicked_after_typing_is_clicked(graph: Graph) -> None:
    graph.add()
    graph.show(TWO)
    name = graph.find(".tora2-layers input.tora2-name").nth(0)
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
    name = graph.find(".tora2-layers input.tora2-name").nth(0)
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
