"""Nouns of a caption that can be entities: one thing each, which the caption names literally.

Section 3.3 drops videos "that either lack subject entity words or contain subject entity words in
plural form"; the words follow Video Alchemist's rules (arXiv 2501.06187): literal parts of the
caption, without articles and quantifiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...encoders.routing import names_person
from ..candidate import Noun

ROLES = ("subject", "object", "background")
_LONGEST = 200  # characters of an entity's word in a clip's record

_SEVERAL = frozenset(
    "two three four five six seven eight nine ten eleven twelve dozen dozens hundred hundreds "
    "several many few some both numerous multiple various group groups pair pairs couple crowd "
    "herd flock pack swarm".split()
)
_BEFORE = frozenset("a an the this that one his her its their my your our another each".split())
_PLURALS = frozenset(
    "men women children people feet teeth geese mice lice oxen dice cattle police folk folks "
    "everyone everybody they them those these".split()
)
# End like plurals and are none, beside those in -ss, -us and -is.
_SINGULARS = frozenset(
    "gas lens atlas canvas christmas news series species chaos cosmos thermos rhinoceros bias "
    "corps mars means".split()
)


@dataclass(frozen=True)
class Named:
    """A noun as an extractor found it.

    Attributes:
        word: should be a literal part of the caption.
        role: one of `ROLES`.
        plural: whether it is several things; None where the extractor does not say.
    """

    word: str
    role: str
    plural: bool | None = None


class Refused(ValueError):
    """The caption makes no clip, and why."""


def choose(caption: str, named: Iterable[Named]) -> tuple[Noun, ...]:
    """The nouns that become entities, in the caption's order.

    What is not literally in the caption, the background and objects in plural are left out; of
    nouns that lie within one another, the longer stays.

    Args:
        caption: of the clip.
        named: by an extractor.

    Raises:
        Refused: if a subject is in plural, or no subject is left.
    """
    found: list[tuple[Noun, str]] = []
    for noun in sorted(named, key=lambda noun: -len(noun.word)):
        word = bare(noun.word)
        if noun.role == "background" or not word or len(word) > _LONGEST:
            continue
        taken = [other.span for other, _ in found]
        span = next((s for s in spans(caption, word) if not _meets(s, taken)), None)
        if span is None:
            continue
        if is_several(caption, span) if noun.plural is None else noun.plural:
            if noun.role == "subject":
                raise Refused(f"its subject {word!r} is in plural, expected one of each thing")
            continue
        text = caption[span[0] : span[1]]
        found.append((Noun(text, span, "human" if names_person(text) else "object"), noun.role))
    if not any(role == "subject" for _, role in found):
        raise Refused("no subject word occurs literally in its caption")
    return tuple(sorted((noun for noun, _ in found), key=lambda noun: noun.span))


def spans(caption: str, word: str) -> Sequence[tuple[int, int]]:
    """Where a word stands in a caption as whole words, [start, end), whatever its case."""
    if not word.strip():
        return []
    parts = r"\s+".join(re.escape(part) for part in word.split())
    pattern = rf"(?<![\w-]){parts}(?![\w-])"
    return [found.span() for found in re.finditer(pattern, caption, re.IGNORECASE)]


def bare(word: str) -> str:
    """A noun without the article or quantifier before it."""
    words = word.strip(" \t\n.,;:!?\"'").split()
    while len(words) > 1 and words[0].lower() in _BEFORE:
        words.pop(0)
    return " ".join(words)


def is_several(caption: str, span: tuple[int, int]) -> bool:
    """Whether what stands there is several things: by its form, or by the number before it."""
    before = re.findall(r"[\w']+", caption[: span[0]].rpartition(".")[2])
    number = before[-1].lower() if before else ""
    of_several = len(before) > 1 and number == "of" and before[-2].lower() in _SEVERAL
    counted = number in _SEVERAL or (number.isdecimal() and int(number) > 1)
    words = caption[span[0] : span[1]].lower().split()
    return counted or of_several or words[0] in _SEVERAL or is_plural(words[-1])


def is_plural(word: str) -> bool:
    """Whether an English noun has the form of a plural; a rule, for where no tagger is."""
    word = word.lower().removesuffix("'s")
    if word in _PLURALS or re.fullmatch(r"\w+(?:men|women|children|people)", word):
        return word not in {"specimen", "regimen", "acumen", "abdomen", "stamen", "omen", "hymen"}
    if word in _SINGULARS or len(word) < 4 or not word.endswith("s"):
        return False
    return not word.endswith(("ss", "us", "is"))


def _meets(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)
