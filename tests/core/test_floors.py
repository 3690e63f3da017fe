"""The house: imports go down only, and never in a circle (CONTRIBUTING, How the house is built)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the ground up. A part imports what stands below it, and within itself.
FLOORS = (
    {"files", "geometry", "losses", "drawing", "device", "plotting", "wording"},
    {"fields", "evaluation.metrics"},
    {
        "settings",
        "video",
        "models",
        "trajectory",
        "encoders",
        "text",
        "evaluation.trackers",
        "cutouts",
    },
    {"scene", "latents", "overlay", "placing", "checkpoints"},
    {"conditioning", "doctor", "customization"},
    {"data", "backbones", "sampling.guiders", "mixing"},
    {"backbone", "previews"},
    {"model_folder", "sampling"},
    {"pipeline", "precompute"},
    {"evaluation"},
    {"training", "curation"},
    {"cli"},
    {"__main__"},
)
HOSTS = {"backbone", "backbones", "sampling", "model_folder", "pipeline", "precompute", "training"}

Texts = dict[str, str]
Arrow = tuple[str, str]


def modules(folder: Path) -> Texts:
    """The text of every module, by its dotted name."""
    files = (path for path in folder.rglob("*.py"))
    return {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts): path.read_text()
        for path in files
    }


def arrows(texts: Texts) -> Iterator[Arrow]:
    """What imports what, within functions too; not what only the type checker sees."""
    names = {name.removesuffix(".__init__") for name in texts}
    for name, text in texts.items():
        tree = ast.parse(text)
        typed = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level and id(node) not in typed:
                base = name.split(".")[: -node.level]
                home = ".".join([*base, *([node.module] if node.module else [])])
                for alias in node.names:
                    whole = f"{home}.{alias.name}"
                    yield name.removesuffix(".__init__"), whole if whole in names else home


def floor(module: str) -> int | None:
    """The number of a module's floor; None for what has none (the package itself)."""
    parts = module.split(".")[1:]
    for length in (2, 1):
        part = ".".join(parts[:length])
        for number, floor in enumerate(FLOORS):
            if part and part in floor:
                return number
    return None


def part(module: str) -> str:
    number = floor(module)
    parts = module.split(".")[1:]
    two = ".".join(parts[:2])
    return two if number is not None and two in FLOORS[number] else parts[0]


def upward(found: list[Arrow]) -> list[Arrow]:
    """Imports of a part on the same floor or above."""
    wrong = []
    for here, there in found:
        mine, theirs = floor(here), floor(there)
        if mine is None or theirs is None or part(here) == part(there):
            continue
        if theirs >= mine:
            wrong.append((here, there))
    return wrong


def circles(found: list[Arrow]) -> set[str]:
    """Modules that are in a circle."""
    rest = set(found)
    while True:
        used, users = {there for _, there in rest}, {here for here, _ in rest}
        kept = {(here, there) for here, there in rest if here in used and there in users}
        if kept == rest:
            return used
        rest = kept


def test_every_part_has_a_floor() -> None:
    named = {name for name in modules(ROOT / "tora2") if name.count(".") > 1 or "__" not in name}
    assert [name for name in named if floor(name) is None] == []


def test_imports_go_down_only_and_never_in_a_circle() -> None:
    found = list(arrows(modules(ROOT / "tora2")))
    assert len(found) > 400
    assert upward(found) == []
    assert circles(found) == set()


def test_the_two_hosts_do_not_know_each_other() -> None:
    found = list(arrows(modules(ROOT / "nodes")))
    taken = {part(there) for _, there in found if there.startswith("tora2.")}
    assert len(taken) > 8
    assert taken & HOSTS == set()
    assert circles([(a, b) for a, b in found if b.startswith("nodes")]) == set()


@pytest.mark.parametrize(
    ("here", "line", "wrong"),
    [
        ("tora2.models.a", "from ..pipeline import x", True),
        ("tora2.models.a", "def f():\n    from ..encoders import x", True),
        ("tora2.evaluation.metrics.a", "from ..binding import x", True),
        ("tora2.evaluation.binding", "from .metrics import x", False),
        ("tora2.training.a", "from ..models import x", False),
        ("tora2.models.a", "if TYPE_CHECKING:\n    from ..pipeline import x", False),
    ],
)
def test_the_check_itself_can_fail(here: str, line: str, wrong: bool) -> None:
    assert bool(upward(list(arrows({here: line})))) == wrong


def test_circles_are_found() -> None:
    assert circles([("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")]) == {"b", "c"}
