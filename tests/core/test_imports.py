"""What may be imported: tora2 without the host, and what the pack needs without the library host.

Each check runs in its own process, with the forbidden modules blocked.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORT_ALL = """
import importlib, importlib.abc, pkgutil, sys

prefixes, exact, roots = {prefixes!r}, {exact!r}, {roots!r}

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in exact or top.startswith(prefixes):
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Block())
seen = []
for root in roots:
    module = importlib.import_module(root)
    seen.append(root)
    for info in pkgutil.walk_packages(getattr(module, "__path__", ()), root + "."):
        if not info.name.endswith("__main__"):
            importlib.import_module(info.name)
            seen.append(info.name)
print(*seen)
"""


def import_all(roots: list[str], exact: set[str], prefixes: tuple[str, ...]) -> set[str]:
    script = IMPORT_ALL.format(roots=roots, exact=exact, prefixes=prefixes)
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return set(process.stdout.split())


def test_every_module_imports_without_the_host() -> None:
    seen = import_all(["tora2"], {"folder_paths", "server", "nodes"}, ("comfy",))
    files = (ROOT / "tora2").rglob("*.py")
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in files
    }
    assert modules - {"tora2.__main__"} == seen


PACK = [
    "tora2.trajectory",
    "tora2.models",
    "tora2.conditioning",
    "tora2.doctor",
    "tora2.checkpoints",
    "tora2.encoders",
    "tora2.evaluation.metrics",
    "tora2.evaluation.trackers",
    "tora2.data.clips",
    "tora2.settings",
    "tora2.geometry",
    "tora2.overlay",
    "tora2.video",
    "tora2.latents",
    "tora2.sampling",
    "tora2.scene",
    "tora2.losses",
    "tora2.text",
    "tora2.fields",
    "tora2.files",
]


def test_the_pack_needs_no_library_host() -> None:
    optional = {"diffusers", "transformers", "insightface", "onnxruntime", "torchvision"}
    assert set(PACK) <= import_all(PACK, optional, ("comfy",))


@pytest.mark.parametrize("module", ["json", "tora2.backbones.cogvideox"])
def test_the_check_itself_can_fail(module: str) -> None:
    with pytest.raises(AssertionError, match="is blocked"):
        import_all([module], {"json", "diffusers"}, ("comfy",))
