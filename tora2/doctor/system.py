"""The packages, the device and the ComfyUI of this computer; no package is imported for it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

import torch

_ROOT = Path(__file__).parents[2]
_VERSION = re.compile(r"__version__\s*=\s*[\"']([^\"'\s]{1,40})[\"']")
_EVERYWHERE = "needed"
_LIBRARY = "needed by the library and the command line, not by the nodes"


@dataclass(frozen=True)
class Package:
    """A Python package.

    Attributes:
        name: in the index it is installed from.
        use: what it is for.
        least: lowest version that is known to do.
        version: the installed one, or empty.
    """

    name: str
    use: str
    least: str
    version: str = ""

    @property
    def suffices(self) -> bool:
        return bool(self.version) and _numbers(self.version) >= _numbers(self.least)

    def __str__(self) -> str:
        if not self.version:
            return f"{self.name}: not installed ({self.use})"
        old = "" if self.suffices else f", expected {self.least} or later"
        return f"{self.name}: {self.version}{old} ({self.use})"


KNOWN = (
    Package("torch", _EVERYWHERE, "2.6"),
    Package("numpy", _EVERYWHERE, "1.26"),
    Package("einops", _EVERYWHERE, "0.8"),
    Package("safetensors", _EVERYWHERE, "0.4.5"),
    Package("pillow", _EVERYWHERE, "10.3"),
    Package("av", "needed for video files", "17"),
    Package("diffusers", _LIBRARY, "0.35"),
    Package("transformers", _LIBRARY, "4.50"),
    Package("pyyaml", _LIBRARY, "6"),
    Package("tqdm", _LIBRARY, "4.66"),
    Package("insightface", "optional: people by their face", "0.7.3"),
    Package("onnxruntime", "optional: face and identity networks", "1.18"),
    Package("onnx", "optional: face networks of other makes", "1.16"),
    Package("matplotlib", "optional: curves of a training", "3.9"),
)


@dataclass(frozen=True)
class Device:
    """What the models compute on.

    Attributes:
        name: in words.
        kind: torch's: `cuda`, `mps`, `xpu`, `cpu`…
        free, total: bytes of its memory; None if they cannot be told.
        memory_free, memory_total: bytes of the system's memory, likewise.
    """

    name: str
    kind: str
    free: int | None = None
    total: int | None = None
    memory_free: int | None = None
    memory_total: int | None = None

    @property
    def accelerated(self) -> bool:
        return self.kind != "cpu"

    def __str__(self) -> str:
        system = f"system memory: {_amount(self.memory_free, self.memory_total)}"
        if not self.accelerated:
            return f"{self.name}; {system}"
        return f"{self.name}: {_amount(self.free, self.total)}; {system}"


def packages(known: Iterable[Package] = KNOWN) -> tuple[Package, ...]:
    """The known packages with the versions that are installed."""
    return tuple(
        Package(one.name, one.use, one.least, installed_version(one.name)) for one in known
    )


def installed_version(name: str) -> str:
    """A package's version from its metadata, or an empty text."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def python_and_torch() -> str:
    """Versions of Python and torch, and what torch was built for."""
    hip: str | None = getattr(torch.version, "hip", None)
    built = "the CPU"
    if torch.version.cuda:
        built = f"CUDA {torch.version.cuda}"
    elif hip:
        built = f"ROCm {hip}"
    elif torch.backends.mps.is_built():
        built = "Metal"
    return f"Python {sys.version.split()[0]}, torch {torch.__version__} built for {built}"


def this_device() -> Device:
    """What the library computes on by default: the first GPU, or the CPU."""
    memory = system_memory()
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return Device(torch.cuda.get_device_name(), "cuda", free, total, *memory)
    return Device("CPU", "cpu", *memory, *memory)


def system_memory() -> tuple[int | None, int | None]:
    """Free and total bytes of the system's memory; None where they cannot be told."""
    try:
        memory = import_module("psutil").virtual_memory()  # ComfyUI has it, we do not ask for it
    except ModuleNotFoundError:
        return _memory_of_linux()
    return memory.available, memory.total


def _memory_of_linux() -> tuple[int | None, int | None]:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None, None
    found = (
        re.search(rf"^{name}:\s*(\d+) kB", text, re.M) for name in ("MemAvailable", "MemTotal")
    )
    free, total = (int(match[1]) * 1024 if match else None for match in found)
    return free, total


def find_comfyui(environment: Mapping[str, str], home: Path, root: Path = _ROOT) -> Path | None:
    """A ComfyUI: COMFYUI_PATH, else the folder above custom_nodes/, else comfy-cli's default.

    Args:
        environment: variables, such as `os.environ`.
        home: the user's folder.
        root: of this repository.

    Returns:
        None if there is none there; a COMFYUI_PATH that leads nowhere is not made up for.
    """
    given = environment.get("COMFYUI_PATH")
    places = [Path(given)] if given else [home / "comfy" / "ComfyUI"]
    if not given and root.parent.name == "custom_nodes":
        places.insert(0, root.parents[1])
    return next((place for place in places if is_comfyui(place)), None)


def is_comfyui(folder: Path) -> bool:
    """Whether a folder is a ComfyUI, by its files."""
    return (folder / "main.py").is_file() and (folder / "folder_paths.py").is_file()


def comfyui_version(folder: Path) -> str:
    """The version that a ComfyUI's own file gives, or an empty text; nothing is run."""
    try:
        with (folder / "comfyui_version.py").open(encoding="utf-8") as file:
            match = _VERSION.search(file.read(4096))
    except (OSError, UnicodeDecodeError):
        return ""
    return match[1] if match else ""


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: 2.6.0+cpu gives (2, 6, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _amount(free: int | None, total: int | None) -> str:
    if free is None or total is None:
        return "cannot be told"
    return f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
