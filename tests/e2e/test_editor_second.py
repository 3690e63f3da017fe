"""The editor's second generation in headless Chromium on a real ComfyUI, in both renderers."""

from editor_page import DOCUMENT, Graph

FRAMES = 49
FIRST_USE = 15


class Hand:
    """What a person does, counted: clicks, drags, words, choices, keys."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.actions = 0

    def click(self, selector: str) -> None:
        self.actions += 1
        self.graph.find(selector).first.click()
        self.graph.settle(450)

    def type(self, words: str) -> None:
        self.actions += 1
        self.graph.page.keyboard.type(words)

    def draw(self, *places: tuple[float, float]) -> None:
        """A click a point, of which the last is a double click."""
        self.actions += len(places)
        for place in places[:-1]:
            self.graph.click(*place)
        self.graph.page.mouse.dblclick(*self.graph.place(*places[-1]))
        self.graph.settle(450)

    def slide(self, row: int, frame: int, by: int) -> None:
        """Drag the bar of a row of the timeline."""
        self.actions += 1
        bar(self.graph, row, frame, frame + by)

    def choose(self, selector: str, value: str) -> None:
        self.actions += 1
        self.graph.find(selector).first.select_option(value)
        self.graph.settle()

    def press(self, key: str) -> None:
        self.actions += 1
        self.graph.press(key)


def bar(graph: Graph, row: int, start: float, end: float) -> None:
    box = graph.find(".tora2-timeline").bounding_box()
    zoom = box["width"] / graph.find(".tora2-timeline").evaluate("(c) => c.clientWidth")
    width = box["width"] / zoom

    def x(frame: float) -> float:
        return float(box["x"] + zoom * (64 + 12 + frame / (FRAMES - 1) * (width - 64 - 24)))

    y = box["y"] + zoom * (20 + 20 * row + 10)
    mouse = graph.page.mouse
    mouse.move(x(start), y)
    mouse.down()
    mouse.move(x(end), y, steps=6)
    mouse.up()
    graph.settle()


def test_first_use_without_help(graph: Graph) -> None:
    graph.add()
    graph.settle(700)
    hand = Hand(graph)
    for name, path in (("cat", ((0.2, 0.7), (0.7, 0.3))), ("ball", ((0.2, 0.9), (0.8, 0.8)))):
        hand.click("[data-action=new-entity]")
        hand.type(name)
        hand.draw(*path)
    hand.slide(1, 20, 8)
    hand.click("[data-track=t1]")
    hand.choose("[data-key=easing]", "in")
    hand.press("Space")
    value = graph.value()
    assert [entity["name"] for entity in value["entities"]] == ["cat", "ball"]
    cat, ball = value["tracks"]
    assert [track["entity"] for track in (cat, ball)] == [e["id"] for e in value["entities"]]
    assert (ball["start"], ball["end"]) == (8, 48)  # a second late
    assert (cat["start"], cat["easing"]) == (0, "in")
    assert value["version"] == 1  # nothing that older programs do not know
    assert graph.find("[data-action=play]").get_attribute("title").startswith("Pause")
    assert hand.actions <= FIRST_USE
    graph.press("Space")


def test_waiting_sizes_names_and_the_menu_of_a_point(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    graph.press("v")
    graph.find("[data-track=t1]").click()
    graph.settle()
    graph.find("[data-action=waitBefore]").click()
    graph.settle()
    assert graph.value()["tracks"][0]["before"] == "wait"
    assert graph.value()["version"] == 2
    graph.page.mouse.click(*graph.place(0.5, 0.3), button="right")
    graph.settle()
    menu = graph.find(".tora2-context")
    assert "Point" in menu.inner_text()
    menu.get_by_text("200 %", exact=True).click()
    graph.settle()
    assert graph.value()["tracks"][0]["points"][1]["scale"] == 2
    graph.find("[data-track=t1]").dblclick()
    graph.page.keyboard.type("the hop")
    graph.press("Enter")
    assert graph.value()["tracks"][0]["name"] == "the hop"
    named = graph.value()
    graph.press("Control+z", "Control+z", "Control+z")
    assert graph.becomes(DOCUMENT)
    graph.press("Control+y", "Control+y", "Control+y")
    assert graph.becomes(named)


def test_rows_are_dragged_and_fold(graph: Graph) -> None:
    graph.add()
    two = DOCUMENT["entities"] + [{"id": "dog", "name": "dog", "color": "#2e86de"}]
    graph.show(DOCUMENT | {"entities": two})
    page = graph.page
    free, dog = graph.find("[data-track=t2]"), graph.find("[data-key='entity:dog']")
    page.mouse.move(*middle(free.bounding_box()))
    page.mouse.down()
    page.mouse.move(*middle(dog.bounding_box()), steps=4)
    page.mouse.up()
    graph.settle()
    assert graph.value()["tracks"][1]["entity"] == "dog"
    dog.locator("[data-key=fold]").click()
    graph.settle()
    assert graph.find("[data-track=t2]").count() == 0
    assert page.evaluate("app.graph.nodes[0].properties.tora2_layers.collapsed") == ["entity:dog"]


def middle(box: dict[str, float]) -> tuple[float, float]:
    return box["x"] + box["width"] / 3, box["y"] + box["height"] / 2


def test_an_easing_curve_and_a_camera(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    graph.find("[data-track=t1]").click()
    graph.settle()
    graph.find("[data-action=motion]").click()
    graph.settle()
    graph.find(".tora2-easing").click(position={"x": 200, "y": 30})
    graph.settle()
    easing = graph.value()["tracks"][0]["easing"]
    assert len(easing) == 4 and all(0 <= part <= 1 for part in easing)
    graph.find("[data-action=camera]").click()
    graph.settle()
    graph.find(".tora2-floating").get_by_text("Zoom in").click()
    graph.settle()
    keys = graph.value()["camera"]["keys"]
    assert [(key["frame"], key["zoom"]) for key in keys] == [(0, 1), (48, 1.5)]
    assert "little camera motion" in graph.find(".tora2-floating").inner_text()


def test_points_spread_in_a_box_are_moved_as_one(graph: Graph) -> None:
    graph.add()
    graph.find(".tora2-canvas").focus()
    graph.press("s", "r")
    graph.drag((0.2, 0.3), (0.5, 0.7))
    tracks = graph.value()["tracks"]
    assert len(tracks) == 5 and len({track["group"] for track in tracks}) == 1
    assert all(0.2 <= t["points"][0]["x"] <= 0.5 for t in tracks)
    x, y = (tracks[0]["points"][0][axis] for axis in "xy")
    graph.drag((x, y), (x + 0.2, y))
    moved = graph.value()["tracks"]
    for before, after in zip(tracks, moved, strict=True):
        assert abs(after["points"][0]["x"] - before["points"][0]["x"] - 0.2) < 0.01
