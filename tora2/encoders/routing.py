"""Which branch of the DPE a picture takes, and in words why.

People whose face is found go to the face branch, all else to the object branch; see docs/method.md,
Personalization.
"""

import re
from dataclasses import dataclass

from .detection import LADDER, FaceChoice, Found, choose
from .protocols import Box, Face

KINDS = ("auto", "human", "object")
# Without a word that says so, a face makes a picture one of a person when it is plain to see.
_PLAIN_SCORE = 0.65
_PLAIN_SIDE = 0.1

_PEOPLE = frozenset(
    "person human man woman boy girl child kid baby toddler infant teenager adult guy lady "
    "gentleman father mother dad mom son daughter brother sister husband wife uncle aunt "
    "grandfather grandmother grandpa grandma bride groom king queen prince princess knight soldier "
    "policeman policewoman officer firefighter doctor nurse surgeon teacher student professor "
    "scientist engineer worker farmer fisherman chef cook waiter waitress barista baker butcher "
    "carpenter mechanic pilot astronaut sailor captain driver biker cyclist runner athlete player "
    "footballer swimmer surfer skier skater boxer wrestler dancer ballerina singer musician "
    "guitarist pianist violinist drummer actor actress model artist painter photographer writer "
    "journalist reporter businessman businesswoman politician president minister priest monk nun "
    "pope judge lawyer detective spy hunter warrior samurai ninja cowboy pirate viking wizard "
    "witch clown face portrait celebrity tourist hiker climber commuter friend neighbour "
    "neighbor stranger speaker host hostess magician youth elder senior".split()
)


@dataclass(frozen=True)
class Routing:
    """The branch that a picture took.

    Attributes:
        branch: `face` or `object`.
        box: what the prior encoder reads, in pixels of the picture.
        score: confidence of the face, in [0, 1]; None on the object branch.
        reason: a sentence for the user.
        face: the chosen face, or None on the object branch.
    """

    branch: str
    box: Box
    score: float | None
    reason: str
    face: Face | None = None


def names_person(word: str) -> bool:
    """Whether an entity word says that it is a person; its last noun decides ("old man")."""
    words = re.findall(r"[a-z]+", word.lower())
    return bool(words) and words[-1] in _PEOPLE


def rungs(kind: str, word: str) -> tuple[str, ...]:
    """How hard to look for a face, as rungs of `detection.LADDER`; not at all for an object."""
    if kind == "object":
        return ()
    return LADDER if kind == "human" or names_person(word) else LADDER[:2]


def route(
    content: Box,
    size: tuple[int, int],
    found: Found | None,
    kind: str = "auto",
    word: str = "",
    choice: FaceChoice | None = None,
) -> Routing:
    """Choose the branch of one picture: people with a face go to `face`, all else to `object`.

    Args:
        content: the entity's box, which the object branch reads.
        size: (height, width) of the picture.
        found: the faces in it; None where no face encoder is loaded.
        kind: `human` or `object` as the user says; `auto` goes by the word and the face.
        word: the entity word; "" when there is none.
        choice: which of several faces; the largest when None.

    Raises:
        ValueError: if `kind` is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is unknown; expected one of {KINDS}")

    def to_object(why: str) -> Routing:
        return Routing("object", content, None, f"Object branch: {why}.")

    if kind == "object":
        return to_object("chosen by the user")
    if found is None:
        return to_object("no face encoder is loaded")
    if not found.faces:
        return to_object(f"no face was found in the picture, {', '.join(found.tried)}")
    face, which = choose(found.faces, choice or FaceChoice(), size)
    if kind == "auto" and not names_person(word) and not _plain(face, content):
        return to_object(
            f"a face was found (score {face.score:.2f}), but {_called(word)} is not known as a "
            "person and the face is small or uncertain; choose the kind 'human' to use it"
        )
    count = len(found.faces)
    subject = "1 face was" if count == 1 else f"{which} of {count} faces was"
    how = f"found in the picture {found.tried[-1]} (score {face.score:.2f})"
    return Routing("face", face.box, face.score, f"Face branch: {subject} {how}.", face)


def _plain(face: Face, content: Box) -> bool:
    side = max(content[2] - content[0], content[3] - content[1])
    return face.score >= _PLAIN_SCORE and face.area**0.5 >= _PLAIN_SIDE * side


def _called(word: str) -> str:
    return f"'{word}'" if word else "an entity without a word"
