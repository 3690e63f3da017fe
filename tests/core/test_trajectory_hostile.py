"""Damaged documents and path files: a document within its bounds, or one clean sentence."""

import hostile_paths
import pytest

from tora2.trajectory import TrajectoryDocument, parse, sample
from tora2.trajectory.document import MAX_FRACTION, to_dict
from tora2.trajectory.formats import loads


def check(document: TrajectoryDocument) -> None:
    assert parse(to_dict(document)) == document
    tracks = sample(document)
    bound = 2 * MAX_FRACTION * max(document.width, document.height)
    assert not tracks.points.numel() or tracks.points.abs().max() < bound


def assert_sentence(error: ValueError, seed: str) -> None:
    sentence = str(error)
    assert type(error) is ValueError, seed
    assert sentence.isprintable(), (seed, sentence)
    assert 5 < len(sentence) < 300, (seed, sentence)


@pytest.mark.filterwarnings("error")
def test_files() -> None:
    read = 0
    for seed, content in hostile_paths.cases(0, 3000):
        try:
            document = loads(content)
        except ValueError as error:
            assert_sentence(error, seed)
        else:
            read += 1
            check(document)
    assert 300 < read < 2700  # both outcomes are met


def test_documents() -> None:
    for seed, value in hostile_paths.documents(0, 1500):
        try:
            document = parse(value)
        except ValueError as error:
            assert_sentence(error, seed)
        else:
            check(document)
