"""What the repository says of itself: links, sections that are cited, versions, its settings."""

import re
from pathlib import Path

import pytest
import yaml

import tora2

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tora2/assets/*/*.md")]


def setting(name: str) -> str:
    """A text of pyproject.toml; Python 3.10 has no reader of TOML."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.findall(rf'^{name} = "(.*)"$', text, re.MULTILINE)[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_docstrings_cite_sections_that_are_there() -> None:
    method = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", method, re.MULTILINE)
    assert "Decisions" in sections and len(sections) == 10
    for folder in ("tora2", "nodes", "tests", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            text = " ".join(file.read_text(encoding="utf-8").split())
            cited = re.findall(r"docs/method\.md, ((?:[A-Z]\w+)(?: [a-z]\w+)*)", text)
            for title in cited:
                assert any(title.startswith(section) for section in sections), (file, title)


def test_versions_agree() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert setting("version") == tora2.__version__
    assert f"## {tora2.__version__}" in changelog and "## Unreleased" in changelog


def test_the_registry_and_github_can_read_theirs() -> None:
    repository = setting("Repository").removeprefix("https://github.com/")
    raw = f"https://raw.githubusercontent.com/{repository}/main/"
    icon = ROOT / setting("Icon").removeprefix(raw)
    assert icon.is_file() and icon.stat().st_size < 10_000
    for file in (ROOT / ".github").rglob("*.yml"):
        assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)
