"""Where the words of entities stand in a prompt: found, missing, plural or ambiguous."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

_INTRODUCED = re.compile(r"\b(?:an?|one|another)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_NEAR = 3
"""Words of the prompt that are shown around one."""
_REACH = 80
"""Characters before and after a word that are looked at."""


class Kind(Enum):
    """How a word stands in a prompt."""

    FOUND = "found"
    MISSING = "missing"
    PLURAL = "plural"
    AMBIGUOUS = "ambiguous"
    UNNAMED = "unnamed"


@dataclass(frozen=True)
class Finding:
    """An entity's word in a prompt.

    Attributes:
        name: of the entity.
        word: what the prompt should call it; empty where it has none.
        kind: how it stands there.
        spans: (start, end) in characters of the prompt, of the word or of its plural.
        rivals: other entities of the same word.
    """

    name: str
    word: str
    kind: Kind
    spans: tuple[tuple[int, int], ...] = ()
    rivals: tuple[str, ...] = ()


def spans_of(word: str, prompt: str) -> tuple[tuple[int, int], ...]:
    """Where `word` stands in `prompt` as whole words, whatever the case and spacing."""
    if not word.split():
        return ()
    parts = r"\s+".join(re.escape(part) for part in word.split())
    found = re.finditer(rf"(?<!\w){parts}(?!\w)", prompt, re.IGNORECASE)
    return tuple(match.span() for match in found)


def plurals(word: str) -> tuple[str, ...]:
    """Regular English plurals that a word may have."""
    forms = [f"{word}s"]
    if re.search(r"(?:s|x|z|ch|sh|o)$", word, re.I):
        forms.append(f"{word}es")
    if re.search(r"[^aeiou]y$", word, re.I):
        forms.append(f"{word[:-1]}ies")
    if re.search(r"fe?$", word, re.I):
        forms.append(re.sub(r"fe?$", "ves", word, flags=re.I))
    if re.search(r"man$", word, re.I):
        forms.append(f"{word[:-3]}men")
    return tuple(forms)


def find(prompt: str, words: Mapping[str, str]) -> tuple[Finding, ...]:
    """How the words of entities stand in a prompt.

    A word is ambiguous where two entities have it, or where the prompt introduces it more than
    once, as in "a cat and another cat". Plurals name nobody in particular (the paper, section 3.3,
    drops them from its data).

    Args:
        prompt: the text.
        words: of every entity, by its name.
    """
    return tuple(_finding(prompt, name, word.strip(), words) for name, word in words.items())


def _finding(prompt: str, name: str, word: str, words: Mapping[str, str]) -> Finding:
    if not word:
        return Finding(name, word, Kind.UNNAMED)
    rivals = tuple(
        other
        for other, theirs in words.items()
        if other != name and theirs.strip().casefold() == word.casefold()
    )
    spans = spans_of(word, prompt)
    if not spans:
        many = tuple(span for form in plurals(word) for span in spans_of(form, prompt))
        return Finding(name, word, Kind.PLURAL if many else Kind.MISSING, many, rivals)
    introduced = [
        start for start, _ in spans if _INTRODUCED.search(prompt[max(0, start - _REACH) : start])
    ]
    kind = Kind.AMBIGUOUS if rivals or len(introduced) > 1 else Kind.FOUND
    return Finding(name, word, kind, spans, rivals)


def sentence(finding: Finding, prompt: str) -> str:
    """A finding in words, with what stands around the word."""
    same = finding.name.casefold() == finding.word.casefold()
    called = f"'{finding.word}'" + (f" ({finding.name})" if finding.name and not same else "")
    shown = f"“{around(prompt, finding.spans[0])}”" if finding.spans else ""
    match finding.kind:
        case Kind.FOUND:
            times = f", {len(finding.spans)} times" if len(finding.spans) > 1 else ""
            return f"{called} is in the prompt{times}: {shown}"
        case Kind.MISSING:
            return f"{called} is not in the prompt"
        case Kind.PLURAL:
            return f"{called} is in the prompt only as a plural, which names nobody: {shown}"
        case Kind.AMBIGUOUS if finding.rivals:
            return f"{called} is the word of {' and '.join(finding.rivals)} too: {shown}"
        case Kind.AMBIGUOUS:
            return f"{called} is introduced more than once in the prompt: {shown}"
        case Kind.UNNAMED:
            return f"{finding.name or 'an entity'} has no word"


def around(prompt: str, span: tuple[int, int]) -> str:
    """The words of a prompt around a span, which is set in brackets."""
    start, end = span
    before = prompt[max(0, start - _REACH) : start].split()
    after = prompt[end : end + _REACH].split()
    left = " ".join(before[-_NEAR:])
    right = " ".join(after[:_NEAR])
    return (
        ("… " if len(before) > _NEAR else "")
        + f"{left} [{prompt[start:end]}] {right}".strip()
        + (" …" if len(after) > _NEAR else "")
    )
