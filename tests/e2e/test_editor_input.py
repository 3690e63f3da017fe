"""The editor by finger, pen and keyboard."""

import pytest
from editor_page import (
    DOCUMENT,
    MARGIN,
    Fingers,
    Graph,
    places,
)


def test_one_finger_draws_and_two_zoom_and_pan(graph: Graph) -> None:
    graph.add()
    touch = Fingers(graph)
    graph.find(".tora2-canvas").focus()
    graph.press("b", "s")
    x, y = graph.place(0.2, 0.8)
    touch("Start", (x, y))
    for i in range(1, 9):
        touch("Move", (x + 20 * i, y - 12 * i * (9 - i) / 4))
    touch("End")
    graph.settle()
    drawn = graph.value()
    assert len(drawn["tracks"]) == 1 and len(drawn["tracks"][0]["points"]) >= 3
    assert places(drawn)[0] == pytest.approx((0.2, 0.8), abs=0.02)

    graph.press("a")
    box = graph.find(".tora2-canvas").bounding_box()
    scale = min(box["width"] / 720, box["height"] / 480) * (1 - 2 * MARGIN)
    host = graph.page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]")
    x, y = graph.place(0.5, 0.5)
    touch("Start", (x - 40, y))
    touch("Start", (x - 40, y), (x + 40, y))
    for i in range(1, 9):  # apart to twice the distance, and 32 px to the right
        touch("Move", (x - 40 - i, y), (x + 40 + 9 * i, y))
    touch("End")
    graph.settle(500)
    assert graph.value() == drawn  # the first finger of two draws nothing
    assert graph.page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]") == host
    touch("Start", (x + 132, y + 20))
    touch("End")
    graph.settle()
    wanted = (0.5 + 100 / (720 * 2 * scale), 0.5 + 20 / (480 * 2 * scale))
    assert places(graph.value(), -1)[0] == pytest.approx(wanted, abs=0.004)


def test_a_pen_draws_and_its_pressure_does_not_matter(graph: Graph) -> None:
    graph.add()
    graph.find(".tora2-canvas").focus()
    graph.press("b")
    session = graph.page.context.new_cdp_session(graph.page)
    x, y = graph.place(0.2, 0.3)
    for i, kind in enumerate(["Pressed", *["Moved"] * 8, "Released"]):
        event = {"type": f"mouse{kind}", "x": x + 20 * i, "y": y + (i % 3) * 15, "button": "left"}
        held = {"buttons": 1, "clickCount": 1, "pointerType": "pen", "force": i / 10}
        session.send("Input.dispatchMouseEvent", event | held)
    graph.settle()
    (track,) = graph.value()["tracks"]
    assert len(track["points"]) >= 4
    assert all(set(point) == {"x", "y"} for point in track["points"])


def test_keys_alone_draw_a_track(graph: Graph) -> None:
    graph.add()
    graph.find(".tora2-canvas").focus()
    graph.press("Insert", "Insert", "Shift+ArrowDown", "Insert")
    (track,) = graph.value()["tracks"]
    assert len(track["points"]) == 3
    assert track["points"][1]["y"] == pytest.approx(0.5 + 10 / 480, abs=1e-4)


def test_the_list_of_keys_is_read_with_keys(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    graph.find(".tora2-canvas").focus()
    graph.press("Control+a", "?")
    sheet = graph.find(".tora2-sheet")
    graph.press("ArrowDown", "ArrowDown", "Delete")
    graph.settle()
    assert sheet.evaluate("(element) => element.scrollTop") > 20
    assert graph.value() == DOCUMENT
    graph.press("Escape")
    assert sheet.count() == 0
    graph.press("Shift+ArrowRight")
    assert graph.value() != DOCUMENT  # the keys are the stage's again
