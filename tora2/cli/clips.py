"""`python -m tora2 clips convert | index | show`: sets of clips on disk."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..data.clipset import ClipSet
    from ..data.converting import Source
    from ..data.summary import Summary

_SPRITES = "spritebind"
_SETS = ("360motion", "dreamvideo-omni", _SPRITES)
_SHEET = (5, 2)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    group = subparsers.add_parser("clips", help="sets of clips: convert, index, show")
    actions = group.add_subparsers(dest="action", metavar="ACTION", required=True)
    convert = actions.add_parser("convert", help="write a public set, or drawn clips, as ours")
    convert.add_argument("set", choices=_SETS, help="which layout")
    convert.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="of the set")
    convert.add_argument("--output", required=True, type=Path, metavar="DIR")
    convert.add_argument(
        "--tolerance",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="of the clips (of at least 100) that may be damaged",
    )
    convert.add_argument("--shard-mb", type=int, default=1000, metavar="N", help="size of a shard")
    convert.add_argument("--clips", type=int, default=6000, metavar="N", help="drawn clips")
    convert.add_argument("--seed", type=int, default=0, metavar="N", help="of drawn clips")
    convert.add_argument(
        "--split", default="train", metavar="SPLIT", help="train, heldout or hard; of drawn clips"
    )
    convert.add_argument(
        "--config",
        type=Path,
        metavar="CONFIG",
        help="of the bundled model's training, whose sizes drawn clips then have",
    )
    convert.add_argument(
        "--lossless", action="store_true", help="keep every pixel of drawn clips; larger files"
    )
    convert.set_defaults(run=_convert)
    index = actions.add_parser("index", help="make the index again from the shards")
    index.add_argument("folder", type=Path, metavar="DIR")
    index.set_defaults(run=_index)
    show = actions.add_parser("show", help="count what a set holds, or show one clip")
    show.add_argument("folder", type=Path, metavar="DIR")
    show.add_argument("--key", metavar="KEY", help="of one clip")
    show.add_argument("--json", action="store_true", help="for programs")
    show.add_argument(
        "--overlay",
        type=Path,
        metavar="PATH",
        help="write the clip with its paths drawn on it, an .mp4 or a .png of several frames",
    )
    show.set_defaults(run=_show)


def _convert(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..data.converting import convert
    from ..data.shards import parquet
    from ..fields import integer, number

    tolerance = number(arguments.tolerance, "--tolerance", 0, 1)
    size = integer(arguments.shard_mb, "--shard-mb", 1, 100_000)
    parquet()
    clips = _sources(arguments)
    with tqdm(desc="clips", unit="clip") as bar:
        done = convert(clips, arguments.output, tolerance, size * 1_000_000, bar.update)
    print(
        f"{arguments.output}: {done.written} clips written, {done.there} there already, "
        f"{done.damaged} damaged"
    )
    return 0


def _sources(arguments: argparse.Namespace) -> Iterable[Source]:
    from ..fields import integer

    folder: Path | None = arguments.folder
    if arguments.set == _SPRITES:
        from ..data.converters.spritebind import readers
        from ..data.spritebind import SpriteBind, SpriteBindConfig

        if folder is not None:
            raise ValueError(f"the folder is {folder}, expected none: {_SPRITES} is drawn")
        count = integer(arguments.clips, "--clips", 1, 100_000_000)
        seed = integer(arguments.seed, "--seed", 0, 2**32 - 1)
        sizes = SpriteBindConfig()
        if arguments.config is not None:
            from ..training.recipes.tiny import load_config

            sizes = load_config(arguments.config).data.whole
        return readers(SpriteBind(sizes, seed, arguments.split), count, arguments.lossless)
    from ..data.converting import sources

    if arguments.config is not None or arguments.lossless:
        raise ValueError(f"--config and --lossless are for {_SPRITES}, expected neither")
    if folder is None or not folder.is_dir():
        raise ValueError(f"FOLDER is {folder}, expected the folder of the set {arguments.set}")
    return sources(arguments.set, folder)


def _index(arguments: argparse.Namespace) -> int:
    from ..data.cache import FOLDER
    from ..data.shards import INDEX, read_index, write_index

    for place in (arguments.folder, arguments.folder / FOLDER):
        if (place / "shards").is_dir():
            write_index(place / "shards", place / INDEX)
            print(f"{place / INDEX}: {len(read_index(place / INDEX))} clips")
        elif place == arguments.folder:
            raise ValueError(f"{place} has no folder shards, expected a set of clips")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from ..data.summary import open_clips, place_of, summarise

    if arguments.overlay is not None and arguments.key is None:
        raise ValueError("--overlay needs --key, expected the key of one clip")
    clips = open_clips(arguments.folder)
    if arguments.key is not None:
        return _show_clip(clips, place_of(clips, arguments.key), arguments)
    from tqdm import tqdm

    with tqdm(total=len(clips), desc="records", unit="clip", leave=False) as bar:
        found = summarise(clips, bar.update)
    if arguments.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print("\n".join(_lines(found)))
    return 0


def _lines(found: Summary) -> list[str]:
    from ..fields import plain

    def listed(counts: dict[str, int], most: int = 12) -> str:
        shown = [f"{plain(name, 40) or '(none)'} {count}" for name, count in counts.items()]
        return ", ".join(shown[:most]) + (", …" if len(shown) > most else "")

    lines = [
        f"clips     {found.clips} in {found.shards} shards, {found.bytes / 1e6:.1f} MB, "
        f"{found.seconds:.0f} s; {found.videos} with a video, {found.encoded} encoded",
        f"sizes     {listed({k: v for k, v in found.sizes.items()})}",
        f"entities  {found.entities}: {listed(found.kinds)}; in a clip: "
        + ", ".join(f"{n} in {count}" for n, count in sorted(found.entities_in_clip.items())),
        f"words     {listed(found.words)}",
        f"pictures  {found.references}; tracks {found.tracks}; masks {found.masks}",
        f"damaged   {len(found.damaged)}",
    ]
    return lines + [f"  {plain(reason, 300)}" for reason in list(found.damaged.values())[:20]]


def _show_clip(clips: ClipSet, index: int, arguments: argparse.Namespace) -> int:
    record = clips.record(index)
    if arguments.overlay is not None:
        _overlay(clips, index, arguments.overlay, record.fps)
    if arguments.json:
        print(json.dumps(record.to_dict(), indent=2, ensure_ascii=False))
        return 0
    row = clips.rows[index]
    values: dict[str, Any] = record.to_dict()
    print(f"{row.key} in {row.shard}: {', '.join(sorted(row.members))}")
    print(f"{record.width}x{record.height}, {record.frames} frames at {record.fps:g}")
    print(f"caption   {record.caption!r}")
    for entity in record.entities:
        print(
            f"{entity.id:9} {entity.word!r} ({entity.kind}): {len(entity.references)} pictures, "
            f"{len(entity.tracks)} tracks, {len(entity.masks)} masks"
        )
    if values["scores"]:
        print(f"scores    {values['scores']}")
    return 0


def _overlay(clips: ClipSet, index: int, path: Path, fps: float) -> None:
    from ..data.summary import overlaid
    from ..files import atomic_path, check_writable
    from ..overlay import contact_sheet
    from ..video import check_video, write_video

    record = clips.record(index)
    sheet = path.suffix.lower() == ".png"
    if not sheet:
        check_video(path, (record.height, record.width))
    check_writable(path)
    frames = overlaid(clips, index)
    if sheet:
        from PIL import Image

        columns, rows = _SHEET
        picture = contact_sheet(frames.float() / 255, columns, rows)
        with atomic_path(path) as temporary:
            Image.fromarray((picture * 255).round().byte().numpy()).save(temporary, "PNG")
    else:
        write_video(path, frames, fps)
    print(f"{path}: {len(frames)} frames with the tracks")
