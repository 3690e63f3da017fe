"""Damaged documents and path files: a document within its bounds, or one clean sentence."""

import base64
import json
import random
from pathlib import Path

import hostile_paths
import pytest

from tora2.trajectory import TrajectoryDocument, parse, sample
from tora2.trajectory.document import MAX_FRACTION, to_dict
from tora2.trajectory.formats import loads

FIXTURE = Path(__file__).parents[1] / "fixtures" / "foreign_paths.json"
CASES = json.loads(FIXTURE.read_text(encoding="utf-8"))["read"]
SAMPLES: list[str | bytes] = [
    case["text"] if "text" in case else base64.b64decode(case["bytes"])
    for case in CASES
    if len(case.get("text", "")) < 3000
]
SAMPLES += [json.dumps(hostile_paths.DOCUMENT), json.dumps(hostile_paths.SKETCH)] * 10


def check(document: TrajectoryDocument) -> None:
    assert parse(to_dict(document)) == document
    tracks = sample(document)
    bound = 2 * MAX_FRACTION * max(document.width, document.height)
    assert not tracks.points.numel() or tracks.points.abs().max() < bound


def assert_sentence(error: ValueError, seed: int) -> None:
    sentence = str(error)
    assert type(error) is ValueError, seed
    assert sentence.isprintable(), (seed, sentence)
    assert 5 < len(sentence) < 300, (seed, sentence)


@pytest.mark.filterwarnings("error")
def test_files() -> None:
    read = 0
    for seed, content in hostile_paths.files(SAMPLES, range(3000)):
        try:
            document = loads(content)
        except ValueError as error:
            assert_sentence(error, seed)
        else:
            read += 1
            check(document)
    assert 300 < read < 2700  # both outcomes are met


def test_documents() -> None:
    for seed in range(1500):
        chance = random.Random(seed)
        value = chance.choice((hostile_paths.DOCUMENT, hostile_paths.SKETCH))
        try:
            document = parse(hostile_paths.damaged_value(value, chance))
        except ValueError as error:
            assert_sentence(error, seed)
        else:
            check(document)
