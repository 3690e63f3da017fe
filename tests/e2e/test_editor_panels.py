"""The layers and the numbers: what is clicked and typed there arrives, at any width."""

import copy
from typing import Any

from editor_page import DOCUMENT, Graph

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
