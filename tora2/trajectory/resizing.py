"""A document on another canvas: the same fractions of the frame, the same fractions of the clip."""

from __future__ import annotations

from dataclasses import replace

from .document import Camera, Track, TrajectoryDocument, parse, to_dict


def resized(
    document: TrajectoryDocument,
    *,
    width: int | None = None,
    height: int | None = None,
    frames: int | None = None,
) -> TrajectoryDocument:
    """Give a document another size and length; the editor shows the same.

    Args:
        document: points keep their fractions of the frame. Starts, ends and keys keep their
            fraction of the clip, rounded half up; a key that would then not lie between its
            neighbours is let go, so that arc length decides there. Of camera keys that fall on one
            frame the last stays; hidden stretches that touch become one.
        width: new width in pixels, or None to keep it.
        height: new height in pixels, or None to keep it.
        frames: new number of frames, 4k + 1, or None to keep it.

    Raises:
        ValueError: if a size is out of bounds.
    """
    length = document.frames if frames is None else frames
    scale = (length - 1) / (document.frames - 1) if document.frames > 1 else 0.0
    changed = replace(
        document,
        width=document.width if width is None else width,
        height=document.height if height is None else height,
        frames=length,
        tracks=document.tracks
        if length == document.frames
        else tuple(_retimed(track, scale) for track in document.tracks),
        camera=_retimed_camera(document.camera, scale),
    )
    return parse(to_dict(changed))


def _retimed(track: Track, scale: float) -> Track:
    start, end = _at(track.start, scale), _at(track.end, scale)
    previous = start
    points = []
    for index, point in enumerate(track.points):
        frame = None if point.frame is None else _at(point.frame, scale)
        inner = 0 < index < len(track.points) - 1
        if frame is None or not inner or not previous < frame < end:
            points.append(replace(point, frame=None))
        else:
            points.append(replace(point, frame=frame))
            previous = frame
    hidden: list[tuple[int, int]] = []
    for first, last in track.hidden:
        span = _at(first, scale), _at(last, scale)
        if hidden and span[0] <= hidden[-1][1]:
            span = hidden.pop()[0], span[1]
        hidden.append(span)
    return replace(track, points=tuple(points), start=start, end=end, hidden=tuple(hidden))


def _retimed_camera(camera: Camera | None, scale: float) -> Camera | None:
    if camera is None or scale == 1.0:
        return camera
    keys = {_at(key.frame, scale): key for key in camera.keys}
    return replace(camera, keys=tuple(replace(key, frame=at) for at, key in keys.items()))


def _at(frame: int, scale: float) -> int:
    return int(frame * scale + 0.5)
