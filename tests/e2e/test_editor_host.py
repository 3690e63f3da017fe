"""The editor and its host: one history, the pointer's buttons, runs, and what is left of a node."""

import json
import random

import pytest
from editor_page import DOCUMENT, Graph, drop, places

WIDE = """() => {
  const canvas = new OffscreenCanvas(192, 64);
  const context = canvas.getContext("2d");
  for (const [x, level] of [[0, 50], [48, 150], [144, 250]]) {
    context.fillStyle = `rgb(${level}, 0, 0)`;
    context.fillRect(x, 0, 192, 64);
  }
  return canvas.convertToBlob().then((blob) => blob.arrayBuffer())
    .then((bytes) => [...new Uint8Array(bytes)]);
}"""
RED = """(canvas, [x, y]) => canvas.getContext("2d")
  .getImageData(x * canvas.width, y * canvas.height, 1, 1).data[0]"""


def red(graph: Graph, x: float, y: float) -> int:
    """The red of the stage at a fraction of the frame."""
    box = graph.find(".tora2-canvas").bounding_box()
    left, top = graph.place(x, y)
    at = [(left - box["x"]) / box["width"], (top - box["y"]) / box["height"]]
    return int(graph.find(".tora2-canvas").evaluate(RED, at))


def test_a_background_of_another_shape_is_fitted_as_the_node_says(graph: Graph) -> None:
    graph.add()
    drop(graph, "wide.png", "image/png", bytes(graph.page.evaluate(WIDE)))
    assert [red(graph, x, 0.3) for x in (0.03, 0.5, 0.97)] == [150, 150, 150]

    def choose(words: str) -> None:
        graph.find("[data-action=menu]").click()
        graph.find(".tora2-item").get_by_text(words).click()
        graph.settle(700)

    choose("Stretch to the frame")
    widgets = "app.graph.nodes[0].widgets.map((widget) => widget.value)"
    assert graph.page.evaluate(widgets)[1] == "stretch (as Tora)"
    assert [red(graph, x, 0.3) for x in (0.1, 0.5, 0.9)] == [50, 150, 250]
    choose("Show whole")
    assert [red(graph, x, 0.5) for x in (0.1, 0.9)] == [50, 250]
    assert red(graph, 0.5, 0.1) not in (50, 150, 250)
    graph.find(".tora2-canvas").focus()
    graph.press("Control+z")
    assert graph.page.evaluate(widgets)[1] == "stretch (as Tora)"
    graph.page.evaluate("app.graph.nodes[0].widgets[1].value = 'from tomorrow'")
    saved = graph.page.evaluate("JSON.stringify(app.graph.serialize())")
    assert json.loads(saved)["nodes"][0]["widgets_values"][1] == "from tomorrow"


def test_the_node_asks_how_a_background_is_fitted_where_one_is_linked(graph: Graph) -> None:
    graph.add()
    shown = """() => !app.graph.nodes[0].widgets[1].hidden &&
      (!LiteGraph.vueNodesMode || [...document.querySelectorAll(".lg-node-widget")]
        .some((widget) => widget.innerText.startsWith("fit")))"""
    link = """(linked) => {
      const [editor, picture = LiteGraph.createNode("LoadImage")] = app.graph.nodes;
      if (!picture.graph) app.graph.add(picture);
      const slot = editor.inputs.findIndex(({ name }) => name === "background");
      if (linked) picture.connect(0, editor, slot);
      else editor.disconnectInput(slot);
    }"""
    value = "app.graph.nodes[0].widgets[1].value"
    graph.page.evaluate(f"{value} = 'pad'")
    assert not graph.page.evaluate(shown)
    for linked in (True, False, True):
        graph.page.evaluate(link, linked)
        graph.page.wait_for_function(f"(linked) => ({shown})() === linked", arg=linked)
        assert graph.page.evaluate(value) == "pad"
    graph.page.evaluate("app.loadGraphData(app.graph.serialize())")
    graph.page.wait_for_function(f"({shown})()")
    assert graph.page.evaluate(value) == "pad"


@pytest.mark.parametrize("zoom", [0.5, 1.0])
def test_the_middle_button_moves_the_view_and_not_the_graph(graph: Graph, zoom: float) -> None:
    graph.add()
    graph.page.evaluate(
        "(z) => { app.canvas.ds.scale = z; app.canvas.setDirty(true, true); }", zoom
    )
    graph.settle(500)
    graph.find("[data-action=fit]").click()
    graph.find("[data-tool=points]").click()
    host = graph.page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]")
    x, y = graph.place(0.5, 0.5)
    mouse = graph.page.mouse
    mouse.move(x, y)
    mouse.down(button="middle")
    mouse.move(x + 60, y + 30, steps=4)
    mouse.up(button="middle")
    graph.settle()
    assert graph.page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]") == host
    mouse.click(x + 60, y + 30)
    graph.settle()
    assert places(graph.value())[0] == pytest.approx((0.5, 0.5), abs=0.01)


def test_a_right_click_opens_no_menu_of_the_node(graph: Graph) -> None:
    graph.add()
    graph.page.mouse.click(*graph.place(0.5, 0.5), button="right")
    graph.settle(600)
    assert graph.page.get_by_text("Remove", exact=True).count() == 0
    assert graph.value()["tracks"] == []


def test_no_tooltip_hangs_over_the_stage(graph: Graph) -> None:
    graph.add()
    graph.page.mouse.move(*graph.place(0.3, 0.3))
    graph.page.mouse.move(*graph.place(0.5, 0.5), steps=3)
    graph.settle(2500)
    assert graph.find(".p-tooltip").count() == 0


def test_a_run_leaves_the_stage_and_the_node_as_large_as_they_were(graph: Graph) -> None:
    graph.add(500, 140)
    small = {**DOCUMENT, "width": 96, "height": 64, "frames": 5, "tracks": []}
    graph.show({**small, "fps": round(random.uniform(2, 60), 4)})  # nothing the server has cached
    link = """async (queue) => {
      const editor = app.graph.nodes[0];
      if (!app.graph.nodes[1]) {
        const mask = LiteGraph.createNode("SolidMask");
        app.graph.add(mask);
        mask.connect(0, editor, editor.inputs.findIndex((input) => input.name === "masks"));
        const view = LiteGraph.createNode("PreviewImage");
        app.graph.add(view);
        editor.connect(2, view, 0);
      }
      if (queue) await app.queuePrompt(0);
    }"""
    graph.page.evaluate(link, False)
    graph.settle(600)
    stage = graph.find(".tora2-canvas").bounding_box()
    node = graph.page.evaluate("[...app.graph.nodes[0].size]")
    graph.page.evaluate(link, True)
    outputs = "app.nodeOutputs[String(app.graph.nodes[0].id)]"
    graph.page.wait_for_function(f"{outputs}?.tora2_masks?.length === 1", timeout=60_000)
    graph.settle(1500)
    if graph.page.evaluate("app.extensionManager.setting.get('Comfy.VueNodes.Enabled')"):
        assert graph.find(".tora2-canvas").bounding_box() == stage
        assert graph.page.evaluate("[...app.graph.nodes[0].size]") == node

    # As after a reload: the page knows nothing, and the server's cache says nothing.
    saved = graph.page.evaluate("JSON.stringify(app.graph.serialize())")
    graph.page.evaluate("app.graph.clear(); app.nodeOutputs = {}")
    graph.settle(2000)
    graph.page.evaluate("(text) => app.loadGraphData(JSON.parse(text))", saved)
    graph.settle(2500)
    assert red(graph, 0.2, 0.3) > 100  # the mask's tint


def test_presses_of_an_arrow_are_one_step(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    graph.find(".tora2-canvas").focus()
    graph.press("n")
    for _ in range(6):
        graph.page.keyboard.press("ArrowRight")
    moved = places(graph.value())[0][0]
    assert moved == pytest.approx(0.2 + 6 / 720, abs=1e-5)
    graph.press("Control+z")
    assert graph.value() == DOCUMENT
    graph.press("Control+y")
    assert places(graph.value())[0][0] == moved


def test_undo_in_a_fresh_editor_leaves_the_node(graph: Graph) -> None:
    capture = "app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState()"
    graph.page.evaluate(capture)  # the empty graph, which the host would go back to
    graph.add()
    graph.find(".tora2-canvas").focus()
    graph.press("Control+z", "Control+z")
    assert graph.page.evaluate("app.graph.nodes.length") == 1
    graph.find("[data-action=undo]").click()
    graph.settle(700)
    assert graph.page.evaluate("app.graph.nodes.length") == 1
    graph.find("[data-tool=points]").click()
    graph.click(0.4, 0.4)
    graph.press("Enter", "Control+z", "Control+z")
    assert graph.page.evaluate("app.graph.nodes.length") == 1
    assert graph.value()["tracks"] == []
    graph.press("Control+y")
    assert len(graph.value()["tracks"]) == 1


def test_a_length_that_no_video_has_is_told(graph: Graph) -> None:
    graph.add(500, 140)
    graph.page.evaluate(
        """() => {
          const editor = app.graph.nodes[0];
          const number = LiteGraph.createNode("PrimitiveInt");
          app.graph.add(number);
          number.widgets[0].value = 50;
          number.connect(0, editor, editor.inputs.findIndex((input) => input.name === "frames"));
        }"""
    )
    graph.settle(5600)  # what was said before is over
    said = graph.find(".tora2-status").inner_text()
    assert "50" in said and "4k + 1" in said


def test_a_removed_node_keeps_nothing_of_ours(graph: Graph) -> None:
    graph.add()
    graph.page.evaluate(
        """() => {
          window.mount = app.graph.nodes[0].widgets[0].element;
          app.graph.remove(app.graph.nodes[0]);
        }"""
    )
    graph.settle(2200)
    assert graph.page.evaluate("window.mount.childElementCount") == 0


def test_one_track_is_one_track(graph: Graph) -> None:
    graph.add()
    table = "track,frame,x,y\na,0,72,48\na,12,360,240\na,48,432,48\n"
    graph.find(".tora2-canvas").focus()
    graph.page.evaluate("(text) => navigator.clipboard.writeText(text)", table)
    graph.press("Control+v")
    assert graph.find(".tora2-status").inner_text().startswith("1 track added")
    (track,) = graph.value()["tracks"]
    assert [point.get("frame") for point in track["points"]] == [None, 12, None]
