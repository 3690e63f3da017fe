"""Nouns by spaCy: runs of noun tokens, their number from the tags, their role from the parse."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..pretrained import refusals
from ..stage import Need
from .words import Named

PIPELINE = "en_core_web_sm"
_EXPECTED = "a spaCy pipeline with a tagger such as en_core_web_sm"
_NOUNS = ("NN", "NNS", "NNP", "NNPS")
_SUBJECTS = ("nsubj", "nsubjpass", "ROOT", "agent", "appos")
# Without a parse, what is scenery rather than a thing.
_PLACES = frozenset(
    "background foreground scene view sky sea ocean beach field forest park street road city room "
    "kitchen garden grass ground floor wall air water distance sunset sunrise day night morning "
    "evening weather".split()
)


def absent(path: str | None) -> list[Need]:
    """What spaCy lacks here."""
    if find_spec("spacy") is None:
        where = "install it with: pip install 'comfyui-tora2[curation]'"
        return [Need("spaCy", where, "50 MB", "MIT")]
    if path is None and find_spec(PIPELINE) is None:
        where = (
            f"searched as the Python package {PIPELINE}, as the setting nouns.model is not given; "
            "published at github.com/explosion/spacy-models, and never fetched for you "
            f"(python -m spacy download {PIPELINE})"
        )
        return [Need(f"spaCy's pipeline {PIPELINE}", where, "12 MB", "MIT")]
    if path is not None and not (Path(path) / "meta.json").is_file():
        where = f"searched in {path}, which has no meta.json; published at "
        return [
            Need("a spaCy pipeline", f"{where}github.com/explosion/spacy-models", "12 MB", "MIT")
        ]
    return []


class TaggedNouns:
    """An extractor; loads its pipeline when it is made.

    Args:
        path: a folder that spaCy wrote; the package `en_core_web_sm` if None.
    """

    def __init__(self, path: str | None) -> None:
        import spacy

        with refusals(path or PIPELINE, _EXPECTED):
            self.pipeline: Any = spacy.load(PIPELINE if path is None else Path(path))

    def named(self, caption: str) -> tuple[Named, ...]:
        """The nouns of a caption.

        Raises:
            ValueError: if the pipeline does not tag words.
        """
        doc = self.pipeline(caption)
        if not doc.has_annotation("TAG"):
            raise ValueError(f"spaCy's pipeline gives no tags, expected {_EXPECTED}")
        result, run = [], []
        for token in [*doc, None]:
            if token is not None and token.tag_ in _NOUNS:
                run.append(token)
            elif run:
                word = caption[run[0].idx : run[-1].idx + len(run[-1])]
                role = _role(run[-1], doc.has_annotation("DEP"))
                result.append(Named(word, role, run[-1].tag_.endswith("S") or None))
                run = []
        return tuple(result)


def _role(token: Any, parsed: bool) -> str:
    if token.lower_ in _PLACES:
        return "background"
    if not parsed:
        return "subject"
    head = token
    while head.dep_ == "conj" and head.head is not head:
        head = head.head
    return "subject" if head.dep_ in _SUBJECTS else "object"
