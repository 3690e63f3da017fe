"""A motion learned from one clip and shown on other shapes and colours: the arms in one table.

    python benchmarks/customization.py --output runs/customization [--steps 250] [--seeds 0 1 2]

On the bundled model, through `customize` and the library's pipeline: a red star that takes a
zigzag, and one that spins in place. The things that are then asked for have other shapes, and
pictures of other colours, other backgrounds, and no paths. Prints one Markdown table and leaves
`table.md` and `sheet.png`; an arm that was trained earlier is taken as it is. Columns:

zigzag: cosine of the moves from frame to frame with the clip's, of whatever is coloured, in frames
    where anything is; 1 is the clip's motion, 0 none of it.
seen: share of frames where anything is.
spin: degrees turned a frame as a share of the clip's 22.5, by matching outlines around the centre
    in frames where anything is.
leakage: share of what is coloured that is nearer to the clip's red than to the colour asked for.
shape: share of frames with the shape asked for (zigzag alone, upright templates).
text: share of frames whose background is that of the prompt and of none of the other four that the
    model knows; the clip's is another than all that are asked for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from tora2.customization import phased, read_lora  # noqa: E402
from tora2.data.spritebind import Sprite, paint, saturated  # noqa: E402
from tora2.data.spritebind.sprites import BACKGROUNDS, background  # noqa: E402
from tora2.evaluation.metrics.colour import (  # noqa: E402
    hue_gap,
    hue_of,
    hue_saturation_value,
    is_colored,
)
from tora2.evaluation.shapes import look  # noqa: E402
from tora2.overlay import contact_sheet  # noqa: E402
from tora2.pipeline import Tora2Pipeline  # noqa: E402
from tora2.scene import Sampling, Scene, SceneEntity, Window  # noqa: E402
from tora2.training.recipes.customize import Customization, customize  # noqa: E402
from tora2.training.recipes.customize.config import (  # noqa: E402
    Arm,
    LoraOptimization,
    MotionLora,
    Shown,
)
from tora2.trajectory import TrajectoryDocument  # noqa: E402
from tora2.video import write_video  # noqa: E402

SIZE, FRAMES, TURN = 96, 17, 22.5
RED = 0.0
FEWEST = 20  # pixels that are a thing
ASKED = (
    ("circle", 0.36, "on grass"),
    ("square", 0.62, "on sand"),
    ("heart", 0.5, "at night"),
    ("cross", 0.78, "in the sky"),
)
TRAINED: dict[str, tuple[Arm, float]] = {
    "full": ("full", 0.0),
    "full, debiased": ("full", 1.0),
    "tap": ("tap", 0.0),
    "tap, debiased": ("tap", 1.0),
    "tap released, debiased": ("tap_released", 1.0),
}
PHASED = ("full, debiased", "tap, debiased")


def zigzag() -> np.ndarray:
    """Centres [T, 2] in pixels: left to right, up and down twice."""
    t = np.linspace(0, 1, FRAMES)
    return np.stack([16 + 64 * t, 48 + 26 * (2 * np.abs((2 * t) % 1 * 2 - 1) - 1)], -1)


def draw(motion: str, file: Path) -> None:
    """The clip of a red star that shows a motion."""
    still = np.full((FRAMES, 2), SIZE / 2)
    centers = zigzag() if motion == "zigzag" else still
    plain = background("", (SIZE, SIZE), np.random.default_rng(0))
    frames = np.repeat(plain[None], FRAMES, 0)
    star = Sprite("star", saturated(RED), "plain", 16.0)
    for t in range(FRAMES):
        turned = replace(star, rotation=np.radians(TURN) * t if motion == "spin" else 0.0)
        paint(frames[t : t + 1], turned, centers[t : t + 1])
    write_video(file, torch.from_numpy(frames), 8)


def trained(arm: str, motion: str, seed: int, steps: int, clip: Path, output: Path) -> Path:
    layers, debiased = TRAINED[arm]
    name = f"{motion}-{arm.replace(', ', '-')}-{seed}"
    config = Customization(
        output=str(output / name),
        model="tiny",
        seed=seed,
        motion=MotionLora(
            (Shown(str(clip), "a star"),),
            arm=layers,
            rank=16,
            debiased=debiased,
        ),
        recompute=False,
        dtype="fp32",
        export="fp32",
        optimization=LoraOptimization(
            steps=steps, batch=4, learning_rate=4e-3, checkpoint_every=1000
        ),
    )
    file = Path(config.output) / "motion.safetensors"
    return file if file.exists() else customize(config)[0]


def coloured(video: Tensor) -> tuple[Tensor, Tensor]:
    """Hue and whether a pixel is a thing's, [T, H, W] each, of [T, H, W, 3]."""
    hue, saturation, value = hue_saturation_value(video)
    return hue, is_colored(saturation, value)


def present(video: Tensor) -> Tensor:
    """In which frames [T] anything is coloured."""
    _, mask = coloured(video)
    return mask.sum((1, 2)) >= FEWEST


def fidelity(video: Tensor) -> float:
    """Cosine of the moves of what is coloured with the zigzag's; NaN where nothing is."""
    _, mask = coloured(video)
    ys, xs = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    area = mask.sum((1, 2)).clamp(min=1)
    found = torch.stack([(mask * xs).sum((1, 2)) / area, (mask * ys).sum((1, 2)) / area], -1)
    asked = torch.from_numpy(zigzag()).float().diff(dim=0)
    there = present(video)
    pairs = there[1:] & there[:-1]
    if not bool(pairs.any()):
        return float("nan")
    moves = found.diff(dim=0)[pairs].flatten()
    return float(torch.cosine_similarity(moves, asked[pairs].flatten(), dim=0))


def turning(video: Tensor) -> float:
    """Degrees turned a frame, as a share of those of the clip; NaN where nothing is seen."""
    _, mask = coloured(video)
    there = present(video)
    profiles = [_profile(one) for one in mask]
    steps = []
    for frame in range(len(mask) - 1):
        if there[frame] and there[frame + 1]:
            before, after = profiles[frame : frame + 2]
            scores = [float(after @ torch.roll(before, turn)) for turn in range(-30, 31)]
            steps.append(float(np.argmax(scores) - 30))
    return float(np.mean(steps)) / TURN if steps else float("nan")


def _profile(mask: Tensor) -> Tensor:
    """Reach [360] of a thing around its centre, by degree, without its mean."""
    where = mask.nonzero().float()
    if not len(where):
        return torch.zeros(360)
    y, x = (where - where.mean(0)).unbind(-1)
    angle = torch.rad2deg(torch.atan2(y, x)).round().long() % 360
    reach = torch.zeros(360).scatter_reduce(0, angle, torch.hypot(x, y), "amax")
    around = torch.cat([reach[-4:], reach, reach[:4]])[None, None]
    smooth = torch.nn.functional.max_pool1d(around, 9, 1)[0, 0]
    return smooth - smooth.mean()


def leakage(video: Tensor, hue: float) -> float:
    at, mask = coloured(video)
    if not bool(mask.any()):
        return float("nan")
    return float((hue_gap(at[mask], RED) < hue_gap(at[mask], hue)).float().mean())


def shaped(video: Tensor, shape: str, hue: float) -> float:
    seen = [look(frame, hue) for frame in video[::4]]
    return float(np.mean([one is not None and one.shape == shape for one in seen]))


def told(video: Tensor, phrase: str) -> float:
    """Share of frames whose background is nearest to the one that the prompt says."""
    _, mask = coloured(video)
    phrases, bases = list(BACKGROUNDS), torch.tensor(list(BACKGROUNDS.values()))
    right = []
    for frame, covered in zip(video, mask, strict=True):
        seen = frame[~covered].median(0).values
        right.append(phrases[int((bases - seen).square().sum(1).argmin())] == phrase)
    return float(np.mean(right))


def scenes(folder: Path, seed: int) -> list[tuple[Scene, str, float, str]]:
    """What is asked for: a word and a picture each, and no path."""
    made = []
    for shape, hue, phrase in ASKED:
        canvas = np.ones((1, 64, 64, 3), dtype=np.float32)
        paint(canvas, Sprite(shape, saturated(hue), "plain", 22.0), np.full((1, 2), 32.0))
        file = folder / f"{shape}.png"
        Image.fromarray((canvas[0] * 255).astype(np.uint8)).save(file)
        scene = Scene(
            f"a {shape} {phrase}",
            TrajectoryDocument(SIZE, SIZE, FRAMES, ()),
            (SceneEntity("e0", shape, "object", (file,)),),
            sampling=Sampling(steps=20, guidance=1.0, seed=seed),
        )
        made.append((scene, shape, hue_of(torch.tensor(saturated(hue))), phrase))
    return made


def shown(pipeline: Tora2Pipeline, motion: str, seed: int, loras: Any) -> tuple[list[float], Any]:
    """Means over what is asked for: fidelity, leakage, shape, text, seen; and the first video."""
    rows, first = [], None
    with tempfile.TemporaryDirectory() as folder:
        for scene, shape, hue, phrase in scenes(Path(folder), seed):
            video = pipeline(scene, loras=loras).frames
            first = video if first is None else first
            follow = fidelity(video) if motion == "zigzag" else turning(video)
            looks = leakage(video, hue), shaped(video, shape, hue), told(video, phrase)
            there = float(present(video).float().mean())
            rows.append([follow, *looks, there])
    return np.nanmean(rows, axis=0).tolist(), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    pipeline = Tora2Pipeline.from_pretrained("tiny")
    measured: dict[tuple[str, str], list[list[float]]] = {}
    strips = []
    for motion in ("zigzag", "spin"):
        clip = arguments.output / f"{motion}.mp4"
        draw(motion, clip)
        for seed in arguments.seeds:
            runs: list[tuple[str, Any]] = [("no LoRA", ())]
            for arm in TRAINED:
                lora = read_lora(
                    trained(arm, motion, seed, arguments.steps, clip, arguments.output)
                )
                runs.append((arm, [(lora, Window())]))
                if arm in PHASED:
                    runs.append((f"{arm}, phased", [(lora, phased())]))
            for arm, loras in runs:
                means, video = shown(pipeline, motion, seed, loras)
                measured.setdefault((arm, motion), []).append(means)
                print(motion, seed, arm, [f"{value:.3f}" for value in means], flush=True)
                if seed == arguments.seeds[0]:
                    strips.append(video)
            (arguments.output / "table.md").write_text(table(measured))
    picture = torch.cat([contact_sheet(video, 9) for video in strips])
    Image.fromarray((picture * 255).byte().numpy()).save(arguments.output / "sheet.png")
    print(table(measured))


def table(measured: dict[tuple[str, str], list[list[float]]]) -> str:
    """Means ± standard deviation over the seeds at which there is something to measure."""
    zigzag_columns = {"zigzag": 0, "seen": 4, "leakage": 1, "shape": 2, "text": 3}
    spin_columns = {"spin": 0, "seen": 4, "leakage": 1, "text": 3}
    columns = [("zigzag", place) for place in zigzag_columns.values()]
    columns += [("spin", place) for place in spin_columns.values()]
    heads = [*zigzag_columns, *spin_columns]
    lines = [f"| arm | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for arm in dict.fromkeys(arm for arm, _ in measured):
        cells = []
        for motion, column in columns:
            values = [row[column] for row in measured.get((arm, motion), [])]
            values = [value for value in values if np.isfinite(value)]
            cells.append(f"{np.mean(values):.2f} ± {np.std(values):.2f}" if values else "–")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
