"""What the stages decode to camera cost, against decoding alone; and how that grows.

Run `python benchmarks/curation.py [--clips 10 100 1000]`. Ratios are of processor seconds in one
run on one core. `--calibrate` shows what Farneback finds on drawn scenes whose flow is known.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests/core")]

import av  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from tora2.data.flow import load_estimator  # noqa: E402

STAGES = ("decode", "shots", "resolution", "motion", "camera")
HIGH = {"fps": 24, "size": (720, 1280), "seconds": 4}
LOW = {"fps": 8, "size": (96, 160), "seconds": 1}
SIZE = (320, 576)


def draw(path: Path, seed: int, fps: int, size: tuple[int, int], seconds: float) -> None:
    """A textured scene that pans to the right, with a sensor's noise."""
    rng = np.random.default_rng(seed)
    height, width = size
    scene = _scene(rng, height + 40, width + 6 * int(fps * seconds) + 8)
    noise = rng.normal(0, 2, (4, height, width, 1))
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=fps, options={"preset": "medium", "crf": "20"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for time_ in range(int(fps * seconds)):
            frame = scene[20 : 20 + height, 4 * time_ : 4 * time_ + width] + noise[time_ % 4]
            picture = av.VideoFrame.from_ndarray(
                np.clip(frame, 0, 255).astype(np.uint8), format="rgb24"
            )
            file.mux(stream.encode(picture))
        file.mux(stream.encode())


def _scene(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    scene = np.full((height, width, 3), 120.0)
    for cell, strength in ((4, 10), (16, 25), (64, 40)):
        coarse = rng.normal(size=(height // cell + 3, width // cell + 3, 3))
        fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        scene += strength * fine
    return scene


def decoding(videos: list[Path]) -> float:
    """Processor seconds of FFmpeg's decoder alone, one thread."""
    before = time.process_time()
    for video in videos:
        with av.open(str(video)) as file:
            file.streams.video[0].codec_context.thread_count = 1
            for _ in file.decode(file.streams.video[0]):
                pass
    return time.process_time() - before


def curated(folder: Path, output: Path, side: int) -> tuple[float, dict[str, float], float]:
    """Processor seconds of a run in all, of each stage, and megabytes of its largest process."""
    code = (
        "import sys, json, resource; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from tora2.curation.config import read_settings; from tora2.curation.run import curate\n"
        "settings = read_settings({'workers': 1, 'resolution': {'short_side': int(sys.argv[4])},"
        " 'motion': {'above': 1000.0}, 'examples': 0} if sys.argv[5] == 'drop' else {})\n"
        "curate(Path(sys.argv[2]), Path(sys.argv[3]), settings, 'local', sys.argv[6].split(','))\n"
        "kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN\n"
        "print(json.dumps([[u.ru_utime + u.ru_stime, u.ru_maxrss / 1e3] for u in map("
        "resource.getrusage, kinds)]))"
    )
    stages = ",".join(name for name in STAGES if name != "motion") + ",motion"
    command = [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(folder)]
    done = subprocess.run(
        [*command, str(output), str(side), "drop", stages], stdout=subprocess.PIPE, check=True
    )
    (own, own_peak), (workers, peak) = json.loads(done.stdout)
    funnel = json.loads((output / "funnel.json").read_text())
    return own + workers, {name: stage["seconds"] for name, stage in funnel.items()}, max(
        own_peak, peak
    )  # fmt: skip


def calibrate() -> None:
    """What Farneback's mean is where the true one is known: pans, and a disc on a still ground."""
    estimator = load_estimator("farneback")
    height, width = SIZE
    for kind, share in (("pan", 1.0), ("a disc of 36 %", 0.36), ("a disc of 10 %", 0.1)):
        found = []
        for speed in (1, 2, 4, 8, 16, 24):
            rng = np.random.default_rng(speed)
            ground, look = (_scene(rng, height, width + 64) for _ in range(2))
            ys, xs = np.mgrid[:height, :width]
            pictures = []
            for shift in (0, speed):
                still = ground[:, 32 : 32 + width]
                moved = look[:, 32 - shift : 32 - shift + width]
                radius = np.sqrt(share * height * width / np.pi)
                inside = np.hypot(ys - height / 2, xs - width / 2 - shift) < radius
                frame = moved if share == 1 else np.where(inside[..., None], moved, still)
                noisy = frame + rng.normal(0, 2, frame.shape)
                picture = np.clip(noisy, 0, 255).astype(np.uint8)
                pictures.append(torch.from_numpy(picture).permute(2, 0, 1))
            true = share * speed / 2
            flow = float(estimator.estimate(*pictures).abs().mean())
            found.append(f"{true:.2f}: {flow / true:.2f}")
        print(f"  {kind:16} true flow: found of it  {', '.join(found)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--videos", type=int, default=4, help="of 4 s in 720p")
    parser.add_argument("--calibrate", action="store_true")
    arguments = parser.parse_args()
    if arguments.calibrate:
        calibrate()
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        high = folder / "high"
        high.mkdir()
        for seed in range(arguments.videos):
            draw(high / f"{seed}.mp4", seed, **HIGH)
        videos = sorted(high.glob("*.mp4"))
        alone = decoding(videos)
        whole, stages, peak = curated(high, folder / "out", 720)
        empty = folder / "empty"
        empty.mkdir()
        (empty / "0.mp4").touch()
        start, _, _ = curated(empty, folder / "none", 720)
        length = arguments.videos * HIGH["seconds"]
        print(f"{arguments.videos} videos of {HIGH['seconds']} s, 720p at {HIGH['fps']}:")
        print(f"  decoding alone {length / alone:.1f} clip-seconds a core-second")
        print(
            f"  decode to camera {length / (whole - start):.1f} clip-seconds a core-second, "
            f"{(whole - start) / alone:.2f} times decoding; starting takes {start:.1f} s"
        )
        shares = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())
        print(f"  seconds of each stage: {shares}; peak {peak:.0f} MB")
        small = folder / "small"
        small.mkdir()
        draw(small / "0.mp4", 0, **LOW)
        content = (small / "0.mp4").read_bytes()
        for count in sorted(arguments.clips):
            for place in range(count):
                (small / f"{place}.mp4").write_bytes(content)
            seconds, _, peak = curated(small, folder / f"out{count}", 90)
            each = 1000 * (seconds - start) / count
            print(f"{count} clips: {each:.1f} ms each, peak of a process {peak:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
