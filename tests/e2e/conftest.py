"""A ComfyUI server with this pack, once a session, and a client as any other would be."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from editor_page import NODE, Graph

REPOSITORY = Path(__file__).parents[2]
TINY = REPOSITORY / "tora2" / "assets" / "tiny"
DEMO = REPOSITORY / "tora2" / "assets" / "demo"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
START_S, RUN_S = 240, 240
_PICTURE = b"\0\0\0\1"  # what a message is, before the kind of picture and the picture
_BEFORE_PICTURE = 8


@dataclass
class Run:
    """What the server said of one prompt."""

    id: str
    outcome: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [m["data"] for m in self.messages if m["type"] == kind]


@dataclass
class Server:
    """The address of a running server, its folders, and what a client does with it."""

    url: str
    base: Path
    user: str = ""

    @property
    def log(self) -> str:
        return (self.base / "server.log").read_text(errors="replace")

    def get(self, path: str) -> Any:
        return asyncio.run(self._request("GET", path))[1]

    def post(self, path: str, value: Any) -> tuple[int, Any]:
        return asyncio.run(self._request("POST", path, value))

    def _session(self) -> Any:
        import aiohttp

        return aiohttp.ClientSession(headers={"Comfy-User": self.user} if self.user else {})

    async def _request(self, method: str, path: str, value: Any = None) -> tuple[int, Any]:
        async with (
            self._session() as session,
            session.request(method, self.url + path, json=value) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text else None

    def run(
        self, prompt: dict[str, Any], watch: Callable[[dict[str, Any]], str | None] | None = None
    ) -> Run:
        """Queue a prompt and follow it; `watch` may answer a message with a path to post to."""
        return asyncio.run(self._run(prompt, watch))

    async def _run(self, prompt: dict[str, Any], watch: Any) -> Run:
        import aiohttp

        client = uuid.uuid4().hex
        ends = {"execution_success", "execution_error", "execution_interrupted"}
        async with (
            self._session() as session,
            session.ws_connect(f"{self.url}/ws?clientId={client}", max_msg_size=0) as socket,
        ):
            given = {"prompt": prompt, "client_id": client}
            async with session.post(f"{self.url}/prompt", json=given) as response:
                answer = await response.json()
                assert response.status == 200, json.dumps(answer, indent=1)
            run = Run(answer["prompt_id"], "")
            while not run.outcome:
                message = await socket.receive(timeout=RUN_S)
                if message.type == aiohttp.WSMsgType.BINARY and message.data[:4] == _PICTURE:
                    run.previews.append(message.data[_BEFORE_PICTURE:])
                if message.type != aiohttp.WSMsgType.TEXT:
                    continue
                value = json.loads(message.data)
                run.messages.append(value)
                if watch is not None and (path := watch(value)):
                    async with session.post(self.url + path, json={}):
                        watch = None
                if value["type"] in ends and value["data"]["prompt_id"] == run.id:
                    run.outcome = value["type"]
            return run

    def files(self, run: Run) -> dict[str, list[Path]]:
        """Paths of what each node saved."""
        saved: dict[str, list[Path]] = {}
        for message in run.of("executed"):
            items = [
                i for v in (message["output"] or {}).values() if isinstance(v, list) for i in v
            ]
            saved[message["node"]] = [
                self.base / item["type"] / item["subfolder"] / item["filename"]
                for item in items
                if isinstance(item, dict) and "filename" in item
            ]
        return saved


@pytest.fixture(scope="session")
def server(comfyui: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`main.py --cpu` with this repository as its only custom node."""
    base = tmp_path_factory.mktemp("server")
    with serve(comfyui, base, "--preview-method", "latent2rgb") as running:
        yield running


@pytest.fixture(scope="session")
def serving(comfyui: Path) -> Callable[..., AbstractContextManager[Server]]:
    """`serve`, for a server that is started otherwise."""
    return partial(serve, comfyui)


@contextmanager
def serve(comfyui: Path, base: Path, *more: str, public: bool = True) -> Iterator[Server]:
    """A server with folders of its own below `base`, started with `more` arguments."""
    if not (TINY / "model_index.json").is_file():
        pytest.skip("the bundled model is not there: train it with configs/tiny.yaml")
    for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
        (base / name).mkdir()
    (base / "custom_nodes" / "tora2").symlink_to(REPOSITORY)
    if public:
        _stand_ins(base)
        _public_shapes(base, comfyui)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--cpu", "--base-directory", str(base), "--disable-api-nodes", "--port", str(port)]
    arguments += ["--database-url", "sqlite:///:memory:", *more]
    with (base / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "main.py", *arguments],
            cwd=comfyui,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")},
        )
    running = Server(f"http://127.0.0.1:{port}", base)
    try:
        _wait(running, process)
        yield running
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.get("/system_stats")
            return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"ComfyUI did not start:\n{server.log[-3000:]}")


def _stand_ins(base: Path) -> None:
    """The bundled model under the names that the API twins load, and what else they need."""
    import torch
    from safetensors.torch import load_file, save_file

    from tora2.checkpoints import save_adapter
    from tora2.models.adapter import Tora2Adapter, Tora2Config

    folders = {name: base / "models" / name for name in ("diffusion_models", "tora2", "loras")}
    for folder in folders.values():
        folder.mkdir()
    for picture in ("circle.png", "star.png"):
        shutil.copy(DEMO / picture, base / "input" / picture)
    shutil.copy(TINY / "adapter.safetensors", folders["tora2"] / "tiny.safetensors")
    config = json.loads((TINY / "text_encoder" / "config.json").read_text())
    beside = Tora2Config.preset("tiny", dim=128, layers=1, word_dim=config["d_model"])
    save_adapter(Tora2Adapter(beside), folders["tora2"] / "tiny_wan.safetensors")
    (source,) = (TINY / "transformer").glob("*.safetensors")
    weights = load_file(source)
    save_file(weights, folders["diffusion_models"] / "tiny.safetensors")
    embed = weights["patch_embed.proj.weight"]
    image = torch.randn(embed.shape, generator=torch.Generator().manual_seed(0)) * 0.01
    weights["patch_embed.proj.weight"] = torch.cat([embed, image.to(embed)], dim=1)
    save_file(weights, folders["diffusion_models"] / "tiny_i2v.safetensors")
    width = embed.shape[0]
    low = torch.randn(2, 4, width, generator=torch.Generator().manual_seed(1)) * 0.05
    save_file(
        {
            "diffusion_model.blocks.0.q.lora_A.weight": low[0].contiguous(),
            "diffusion_model.blocks.0.q.lora_B.weight": low[1].T.contiguous(),
        },
        folders["loras"] / "style.safetensors",
    )
    from tora2.customization import Lora, LoraInfo, write_lora

    for method, layer in (("subject", "to_v"), ("motion", "to_k")):
        name = f"transformer_blocks.0.attn1.{layer}"
        info = LoraInfo("the bundled model", method, "full", 4, video_only=method == "motion")
        write_lora(
            Lora(info, {name: (low[0], low[1].T)}), folders["loras"] / f"{method}.safetensors"
        )


def _public_shapes(base: Path, comfyui: Path) -> None:
    """Random weights of public models' shapes, which the host must detect by itself."""
    config = json.loads((TINY / "text_encoder" / "config.json").read_text())
    script = REPOSITORY / "tests" / "fixtures" / "make_small_checkpoints.py"
    arguments = [str(script), str(base / "models"), str(config["d_model"])]
    environment = os.environ | {"COMFYUI_PATH": str(comfyui)}
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("no chromium found: install it or set CHROMIUM")
    api = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["classic", "nodes2"], scope="module")
def loaded(request: pytest.FixtureRequest, browser: Any, server: Server) -> Iterator[Any]:
    """The frontend in one of its two renderers, with the list of its errors."""
    context = browser.new_context(viewport={"width": 1600, "height": 1100})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server.url)
    ready = "!!(window.app?.graph && LiteGraph?.registered_node_types?.$T)".replace("$T", NODE)
    page.wait_for_function(ready, timeout=60_000)
    page.evaluate(
        """async (vue) => {
          await app.extensionManager.setting.set("Comfy.TutorialCompleted", true);
          await app.extensionManager.setting.set("Comfy.VueNodes.Enabled", vue);
        }""",
        request.param == "nodes2",
    )
    page.wait_for_timeout(600)
    page.keyboard.press("Escape")
    yield page, errors
    context.close()


@pytest.fixture
def graph(loaded: tuple[Any, list[str]]) -> Iterator[Graph]:
    """An empty graph."""
    page, errors = loaded
    # A node of the same id would show what the one of an earlier test has put out.
    page.evaluate("app.canvas.setGraph(app.rootGraph); app.graph.clear(); app.nodeOutputs = {}")
    page.wait_for_timeout(200)
    yield Graph(page)
    assert errors == []
