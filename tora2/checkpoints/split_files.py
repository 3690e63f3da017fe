"""Kijai's split layout: the fusers in one file, the extractor in another."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..fields import plain
from .motion_keys import PARTS, motion_tensors, parts_of
from .weights import read_file

FOLDERS = {"fuser": "fuser", "extractor": "traj_extractor"}


def find_sibling(path: Path, have: str) -> dict[str, Tensor]:
    """The other half of a split file, found by its tensors in the folders beside it.

    Where several files hold it (T2V and I2V have the same shapes), the one whose name differs in
    the part alone is taken: `fuser_I2V` goes with `traj_extractor_I2V`.

    Args:
        path: the file given, or its folder.
        have: the part it holds, `fuser` or `extractor`.

    Returns:
        The tensors of the other part, under our names.

    Raises:
        ValueError: if the other half is not there, or it is not clear which file it is.
    """
    want = next(part for part in PARTS if part != have)
    folder = path if path.is_dir() else path.parent
    places = (folder, folder / FOLDERS[want], folder.parent / FOLDERS[want])
    files = {file.resolve() for place in places for file in place.glob("*.safetensors")}
    found: dict[Path, dict[str, Tensor]] = {}
    unreadable = []
    for file in sorted(files - {path.resolve()}):
        try:
            motion = motion_tensors(read_file(file).tensors)
        except ValueError:
            unreadable.append(plain(file.name))
            continue
        if parts_of(motion) == {want}:
            found[file] = motion
    if len(found) > 1:
        twin = path.name.replace(FOLDERS[have], FOLDERS[want], 1)
        found = {file: motion for file, motion in found.items() if file.name == twin} or found
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        names = ", ".join(sorted(plain(file.name) for file in found)[:3])
        raise ValueError(
            f"{path} holds only the {PARTS[have]}, and several files could be its "
            f"{PARTS[want]} ({names}): put the right one alone beside it"
        )
    broken = f" ({', '.join(unreadable[:3])} cannot be read)" if unreadable else ""
    raise ValueError(
        f"{path} holds only the {PARTS[have]}, its {PARTS[want]} missing{broken}: put "
        f"{FOLDERS[want]}/{FOLDERS[want]}.safetensors of Kijai/CogVideoX-5b-Tora beside it"
    )
