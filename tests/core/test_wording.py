"""Words of entities in a prompt; the editor's page is held to the same cases."""

import json
from pathlib import Path

import pytest

from tora2.wording import Kind, find, plurals, sentence

CASES = json.loads((Path(__file__).parents[1] / "fixtures" / "wording_cases.json").read_text())
PROMPT = CASES["prompt"]


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["word"] or "none")
def test_how_a_word_stands(case: dict[str, object]) -> None:
    (finding,) = find(PROMPT, {"one": str(case["word"])})
    assert finding.kind.value == case["kind"]
    assert [list(span) for span in finding.spans] == case["spans"]
    assert sentence(finding, PROMPT)


def test_two_entities_of_one_word() -> None:
    first, second = find("a dog follows the dog", {"left": "dog", "right": "dog"})
    assert first.kind is second.kind is Kind.AMBIGUOUS
    assert first.rivals == ("right",)
    assert "right" in sentence(first, "a dog follows the dog")


def test_the_place_is_shown() -> None:
    (finding,) = find(PROMPT, {"fox": "fox"})
    assert sentence(finding, PROMPT) == (
        "'fox' is in the prompt, 2 times: “A small [fox] trots past two …”"
    )


@pytest.mark.parametrize(("word", "plural"), CASES["plurals"].items())
def test_plurals(word: str, plural: str) -> None:
    assert plural in plurals(word)
    assert find(f"three {plural} run", {"it": word})[0].kind is Kind.PLURAL


def test_a_long_prompt_is_quick() -> None:
    assert len(find("a " * 200_000 + "cat", {"cat": "cat"})[0].spans) == 1
