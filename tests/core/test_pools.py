"""Pools of encoded clips: what is written is read; one that grows is the same when resumed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tora2.data.clips import ClipBatch
from tora2.data.growing import GrowingPool
from tora2.data.pool import read_pool, write_pool

TOKENS = 50


def clips(first: int, count: int) -> ClipBatch:
    """Clips that hold their own numbers, of the bundled model's sizes."""
    numbers = torch.arange(first, first + count)
    return ClipBatch(
        latents=numbers.view(-1, 1, 1, 1, 1).expand(-1, 16, 5, 12, 12).half(),
        motion=torch.zeros(count, 16, 5, 12, 12).half(),
        region=torch.zeros(count, 1, 5, 12, 12, dtype=torch.bool),
        captions=torch.zeros(count, 24, dtype=torch.int64),
        vocabulary=torch.arange(12).view(6, 2),
        words=torch.zeros(count, 3, dtype=torch.int64),
        pictures=torch.zeros(count, 3, 2, 3, 64, 64, dtype=torch.uint8),
        picture_mask=torch.zeros(count, 3, 2, dtype=torch.bool),
        points=torch.rand(count, 3, 17, 2),
        visible=torch.zeros(count, 3, 17, dtype=torch.bool),
        track_mask=torch.zeros(count, 3, dtype=torch.bool),
    )


def test_a_pool_of_the_bundled_models_sizes_is_read_again(tmp_path: Path) -> None:
    # The reader once refused pictures of six sides, so that no run could go on.
    written = clips(0, 3)
    write_pool(tmp_path / "pool.pt", written)
    read = read_pool(tmp_path / "pool.pt", clips(0, 1), TOKENS)
    for name, value in vars(written).items():
        assert torch.equal(getattr(read, name), value), name


def test_what_was_read_is_written_again_without_its_file(tmp_path: Path) -> None:
    write_pool(tmp_path / "whole.pt", clips(0, 8))
    part = read_pool(tmp_path / "whole.pt", clips(0, 1), TOKENS)[torch.arange(2)]
    write_pool(tmp_path / "part.pt", part)
    assert len(read_pool(tmp_path / "part.pt", clips(0, 1), TOKENS)) == 2
    assert (tmp_path / "part.pt").stat().st_size < (tmp_path / "whole.pt").stat().st_size / 2


def growing(folder: Path, asked: list[int], total: int = 40, makes: bool = True) -> GrowingPool:
    def more(first: int) -> Iterator[ClipBatch]:
        for start in range(first, total, 4):
            asked.append(start)
            yield clips(start, min(4, total - start))

    like = clips(0, 1)
    return GrowingPool(folder, more, like, TOKENS, total, 6, 2.0, part=8, makes=makes)


def drawn(pool: GrowingPool, step: int) -> list[int]:
    batch = pool(step, 5, torch.Generator().manual_seed(step))
    return batch.latents[:, 0, 0, 0, 0].int().tolist()


def test_a_pool_grows_with_the_steps_and_is_the_same_when_resumed(tmp_path: Path) -> None:
    asked: list[int] = []
    whole = growing(tmp_path / "whole", asked)
    first = [drawn(whole, step) for step in range(25)]
    assert max(first[0]) < 6 and max(max(numbers) for numbers in first[:6]) < 16
    assert asked == list(range(0, 40, 4))

    asked.clear()
    broken = growing(tmp_path / "broken", asked)
    assert [drawn(broken, step) for step in range(7)] == first[:7]
    asked.clear()
    resumed = growing(tmp_path / "broken", asked)
    assert [drawn(resumed, step) for step in range(7, 25)] == first[7:]
    assert asked[0] == 24, "what lies in whole files is not made again"


def test_another_process_waits_for_the_clips_that_the_first_makes(tmp_path: Path) -> None:
    asked: list[int] = []
    reader = growing(tmp_path, asked, makes=False)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(lambda: [drawn(reader, step) for step in range(25)])
        maker = growing(tmp_path, [])
        assert [drawn(maker, step) for step in range(25)] == waiting.result(timeout=60)
    assert not asked


def test_another_runs_clips_are_refused(tmp_path: Path) -> None:
    pool = growing(tmp_path, [])
    pool.grow(8)
    path = tmp_path / "0000000.pt"
    write_pool(path, replace(clips(0, 8), vocabulary=torch.zeros(6, 2, dtype=torch.int64)))
    with pytest.raises(ValueError, match="vocabulary"):
        growing(tmp_path, [])
