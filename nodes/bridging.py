"""What the tracks that leave for other models are made to be, and saying so."""

from __future__ import annotations

from ..tora2.trajectory import Tracks, TrajectoryDocument, sample
from ..tora2.trajectory.bridge import first_seen, held

LATE = ("wait", "refuse", "as drawn")
"""What to do with a path that is not on the frame from the first frame on."""


def handed(document: TrajectoryDocument, late: str = LATE[0]) -> tuple[Tracks, list[str]]:
    """Tracks as models read them that copy along paths, and what was done to them, in words.

    Raises:
        ValueError: if `late` is to refuse, and a track is not seen in the first frame.
    """
    tracks = sample(document)
    if late == "as drawn":
        return tracks, []
    names = {entity.id: entity.name for entity in document.entities}
    notes = []
    for track, first in zip(document.tracks, first_seen(tracks), strict=True):
        whose = f"{track.id} of {names[track.entity]}" if track.entity else track.id
        if first is None:
            notes.append(f"{whose} is never on the frame; models that copy along paths skip it")
        elif first and late == "refuse":
            raise ValueError(
                f"the path {whose} is first seen at frame {first}, expected one that is on the "
                "frame at frame 0: Wan-Move would carry the lower right corner along it"
            )
        elif first:
            notes.append(
                f"{whose} is first seen at frame {first} and waits there from frame 0: Wan-Move "
                "would carry the lower right corner along it otherwise"
            )
    return held(tracks), notes
