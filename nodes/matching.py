"""Which entity owns which tracks, and saying so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..tora2.encoders.entity import EncodedEntity
from ..tora2.trajectory import Tracks, TrajectoryDocument
from ..tora2.wording import Kind, find, sentence


@dataclass(frozen=True)
class Match:
    """An entity beside the one of the trajectories that it owns; either may be missing.

    Attributes:
        entity: pictures, word and strength.
        place: index of the document's entity, or None for one that is drawn nowhere.
    """

    entity: EncodedEntity
    place: int | None


def match(entities: Sequence[EncodedEntity], document: TrajectoryDocument | None) -> list[Match]:
    """Pair entities with those of the document by name, or by word where no name is given.

    Entities that are drawn but not given become entities of their name alone, after the others.

    Raises:
        ValueError: if a given name is not drawn, or two entities want the same paths.
    """
    drawn = () if document is None else document.entities
    result: list[Match] = []
    for entity in entities:
        key = _key(entity.name or entity.word)
        place = next(
            (i for i, other in enumerate(drawn) if key in (_key(other.id), _key(other.name))), None
        )
        if place is None and entity.name and document is not None:
            known = ", ".join(other.name for other in drawn) or "no entity at all"
            raise ValueError(
                f"the entity name {entity.name!r} is not in the trajectories, which have {known}"
            )
        if place is not None and any(other.place == place for other in result):
            raise ValueError(
                f"two entities want the paths of {drawn[place].name!r}; give each a name of its own"
            )
        result.append(Match(entity, place))
    taken = {one.place for one in result}
    owned = set() if document is None else {track.entity for track in document.tracks}
    for place, other in enumerate(drawn):
        if place not in taken and other.id in owned:
            result.append(Match(EncodedEntity(word=other.name), place))
    return result


def owned_tracks(tracks: Tracks, matches: Sequence[Match]) -> Tracks:
    """Tracks whose `entity` counts matches instead of the document's entities; -1 is free."""
    places = [one.place for one in matches]
    owners = [places.index(int(e)) if int(e) in places else -1 for e in tracks.entity]
    return replace(tracks, entity=torch.tensor(owners, dtype=torch.int64))


def report(matches: Sequence[Match], document: TrajectoryDocument | None, words_bound: bool) -> str:
    """A line for every entity and for the free tracks: what was bound to what."""
    tracks = () if document is None else document.tracks
    lines = []
    for one in matches:
        drawn = None if one.place is None or document is None else document.entities[one.place]
        own = [track.id for track in tracks if drawn is not None and track.entity == drawn.id]
        parts = [
            _count(len(one.entity.pictures), "picture"),
            f"word {one.entity.word!r}" if one.entity.word and words_bound else "no word",
            _count(len(own), "track") + (f" ({', '.join(own)})" if own else ""),
        ]
        name = one.entity.name or one.entity.word or "an entity"
        lines.append(f"{name}: {', '.join(parts)}, strength {one.entity.strength:g}")
    free = [track.id for track in tracks if track.entity is None]
    if free:
        lines.append(f"free: {_count(len(free), 'track')} ({', '.join(free)})")
    return "\n".join(lines) or "nothing: text alone"


def checked(
    entities: Sequence[EncodedEntity], document: TrajectoryDocument | None, prompt: str | None
) -> list[str]:
    """What there is to say of entities before anything is computed, a line each.

    Where each word stands in the prompt, if one is given; entities that are drawn nowhere; and
    layers with paths that no entity has. Without entities only the paths act, and there is nothing.

    Args:
        entities: as they are given to the binding.
        document: the paths, whose entities are the editor's layers.
        prompt: what is sampled, if it is known.
    """
    if not entities:
        return []
    lines = []
    names = [entity.name or entity.word or f"entity {i + 1}" for i, entity in enumerate(entities)]
    if prompt is not None:
        places = (
            name if name not in names[:i] else f"{name} {i + 1}" for i, name in enumerate(names)
        )
        words = {place: one.word for place, one in zip(places, entities, strict=True)}
        lines += [_said(finding.kind, sentence(finding, prompt)) for finding in find(prompt, words)]
    if document is None:
        return lines
    layers = [layer.name for layer in document.entities]
    known = {_key(name) for layer in document.entities for name in (layer.id, layer.name)}
    drawn = ", ".join(layers) or "none at all"
    lines += [
        f"warning: no layer of the paths is called '{name}' (there are: {drawn}), so it has no path"
        for name in names
        if _key(name) not in known
    ]
    given = {_key(name) for name in names}
    owning = {track.entity for track in document.tracks}
    lines += [
        f"warning: the layer '{layer.name}' has paths but no entity with pictures"
        for layer in document.entities
        if layer.id in owning and given.isdisjoint({_key(layer.id), _key(layer.name)})
    ]
    return lines


def _said(kind: Kind, line: str) -> str:
    return line if kind is Kind.FOUND else f"warning: {line}"


def _key(name: str) -> str:
    return name.strip().casefold()


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
