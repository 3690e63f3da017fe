"""A benchmark: what several systems made of the same cases, measured alike.

A configuration names cases, systems and metrics. A system is a folder of finished videos, one a
case and named as it, or a model that generates them. Every case's figures are a file of their own,
so that a run that was ended goes on where it was; a table, all figures and a page are written at
the end. The rules, which every table keeps:

- A number is the mean over the cases in which it could be measured, and how many these are stands
  beside it; a case without a video, or with a damaged one, is said and counts nowhere.
- People and things are told apart by what the case says of its entities, or else by their words.
  TrajError, Subj-S and the bind accuracy are split by entity; the others, of whole videos, by
  whether one of its entities is a person, or any is a thing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..fields import load_json
from ..files import atomic_path, check_writable, read_bounded, regular_file
from ..scene import Sampling, Scene, SceneEntity, occurs
from ..settings import load
from ..video import read_video, write_video
from .cases import Case
from .scoring import KEYS, METRICS, Scorer, Weights, check_weights, path_figures
from .sources import SOURCES, empty_document, spritebind
from .suite_report import write_report
from .suite_results import DRAWN, SPRITEBIND, Cases, Result, SuiteConfig, System

_MAX_FIGURES = 16 << 20
_RULES = 2
"""Of measuring; figures of other ones are not taken from an earlier run."""


Progress = Callable[[str, int, int], object]
"""Is told what is done or made, how many videos are done, and of how many."""


def run_suite(
    path: Path | str, progress: Progress = lambda name, done, total: None
) -> dict[str, Any]:
    """Measure everything, write it, and return what `results.json` holds.

    Args:
        path: the YAML file; relative paths in it are taken from where the command runs.
        progress: is called after every video, and after every step of one that is made.

    Raises:
        ValueError, OSError: for a configuration, a case or a network that cannot be read; a video
            that cannot be is a note of its case.
    """
    config = load(SuiteConfig, path)
    cases = read_cases(config.cases)
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    check_writable(output / "results.json")
    weights = Weights(**{key: Path(str(value)) for key, value in config.weights.items()})
    for file in vars(weights).values():
        if file is not None and file.exists() and not file.is_dir():
            regular_file(file)
    check_weights(config.metrics, weights, "weights.{}:")
    scorer = Scorer(config.metrics, weights, config.tracker, config.anchor)
    results: list[Result] = []
    total = len(config.systems) * len(cases)

    def show(name: str) -> None:
        progress(name, len(results), total)

    for system in config.systems:
        videos = _videos(system, cases, output, show)
        for case in cases:
            results.append(_result(config, system, case, next(videos), scorer, output))
            show(f"{system.name} {case.name}")
    return write_report(output, config, scorer, cases, results)


def read_cases(given: Sequence[Cases]) -> list[Case]:
    """All cases.

    Raises:
        ValueError: if a folder has none, or two have one name.
    """
    every: dict[str, Case] = {}
    for cases in given:
        found = _source(cases)
        taken = [case for case in found if not cases.only or case.name in cases.only]
        taken = taken[: cases.most]
        if not taken:
            raise ValueError(f"{cases.folder} has no case, expected {cases.kind}")
        for case in taken:
            if case.name in every:
                raise ValueError(f"two cases are called {case.name!r}, expected other names")
            every[case.name] = case
    return list(every.values())


def _source(cases: Cases) -> Iterator[Case]:
    folder = Path(cases.folder)
    if cases.kind == SPRITEBIND:
        return spritebind(folder, cases.split, cases.seed, cases.most or DRAWN)
    if not folder.exists():
        raise ValueError(f"{folder} is not there, expected {cases.kind}")
    return SOURCES[cases.kind](folder)


def _videos(
    system: System, cases: Sequence[Case], output: Path, show: Callable[[str], object]
) -> Iterator[Path | str]:
    """For every case the system's video, or in words why there is none."""
    if system.videos is not None:
        folder = Path(system.videos)
        if not folder.is_dir():
            raise ValueError(
                f"{folder} is not there, expected the folder of {system.name}'s videos"
            )
        for case in cases:
            file = folder / f"{case.name}.mp4"
            yield file if file.is_file() else f"{file} is not there"
        return
    folder = output / "videos" / system.name
    folder.mkdir(parents=True, exist_ok=True)
    pipeline: Any = None
    for case in cases:
        file = folder / f"{case.name}.mp4"
        known = folder / f"{case.name}.txt"
        changes = _sampling(system)
        told = [system.model, system.adapter, repr(case.scene or case)]
        made_of = _digest([*told, changes] if changes else told)
        if not (file.is_file() and known.is_file() and known.read_text() == made_of):
            if pipeline is None:
                from ..pipeline import Tora2Pipeline

                pipeline = Tora2Pipeline.from_pretrained(str(system.model), adapter=system.adapter)

            def step(done: int, steps: int, name: str = f"{system.name} {case.name}") -> None:
                show(f"{name}, step {done} of {steps}")

            try:
                scene = case.scene or _scene(case, pipeline)
                scene = replace(scene, sampling=replace(scene.sampling, **changes))
                frames = pipeline(scene, callback=step).frames
                write_video(file, frames, scene.trajectories.fps)
            except ValueError as error:
                yield f"{system.name} cannot make {case.name}: {error}"
                continue
            with atomic_path(known) as temporary:
                temporary.write_text(made_of, encoding="utf-8")
        yield file


def _sampling(system: System) -> dict[str, Any]:
    """What a system samples otherwise than scenes say."""
    asked = {"steps": system.steps, "guidance": system.guidance, "seed": system.seed}
    return {name: value for name, value in asked.items() if value is not None}


def _scene(case: Case, pipeline: Any) -> Scene:
    """What a model generates a case from that is not a scene: the words that its caption has."""
    info = pipeline.info
    document = case.document or empty_document(info.width, info.height, info.frames, info.fps)
    entities = tuple(
        SceneEntity(subject.id, subject.word, subject.kind, subject.images)
        for subject in case.subjects
        if subject.word and occurs(subject.word, case.prompt)
    )
    return Scene(case.prompt, document, entities, sampling=Sampling())


def _result(
    config: SuiteConfig,
    system: System,
    case: Case,
    video: Path | str,
    scorer: Scorer,
    output: Path,
) -> Result:
    """Measured, or as it was measured before."""
    if isinstance(video, str):
        return Result(system.name, case, None, {}, (video,))
    state = video.stat()
    digest = _digest(
        [
            _RULES,
            sorted(config.metrics),
            config.tracker,
            scorer.anchor,
            sorted(config.weights.items()),
            repr(case),
            str(video),
            state.st_size,
            state.st_mtime_ns,
        ]
    )
    file = output / "figures" / system.name / f"{case.name}.json"
    if file.is_file():
        known = load_json(read_bounded(file, _MAX_FIGURES), str(file), _MAX_FIGURES)
        if isinstance(known, dict) and known.get("of") == digest:
            return Result(system.name, case, video, known["figures"], tuple(known["notes"]))
    figures, notes = measured(scorer, config.metrics, video, case)
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"of": digest, "figures": figures, "notes": notes}
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return Result(system.name, case, video, figures, tuple(notes))


def measured(
    scorer: Scorer, metrics: Sequence[str], video: Path, case: Case
) -> tuple[dict[str, Any], list[str]]:
    """The figures of one video, and in words what could not be measured."""
    try:
        frames, fps = read_video(video)
    except (ValueError, OSError) as error:
        return {}, [str(error)]
    figures: dict[str, Any] = {"frames": len(frames)}
    notes: list[str] = []
    for metric in metrics:
        try:
            figures |= _measured(scorer, metric, frames, fps, case)
        except ValueError as error:
            notes.append(f"{METRICS[metric]}: {error}")
        else:
            if figures[KEYS[metric]] is None:
                notes.append(f"{METRICS[metric]}: nothing could be followed where paths begin")
    return figures, notes


def _measured(
    scorer: Scorer, metric: str, frames: Tensor, fps: float, case: Case
) -> dict[str, Any]:
    if metric == "trajectory":
        return path_figures(scorer.trajectories(frames, case), case)
    return scorer.similarities(frames, fps, case, metric)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, default=str).encode()).hexdigest()[:32]
