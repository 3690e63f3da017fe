"""Dynamic guidance against the numbers of the published code."""

import pytest

from tora2.sampling.guiders import dynamic_guidance

# 50 steps, guidance 6, timesteps 999, 979, …: computed with the official code.
FIRST = [2.2915, 2.5435, 6.9744, 6.4204, 2.7881, 4.2719, 1.0376, 4.1704, 1.6180, 6.9831]
LAST = [6.2128, 1.2505, 6.9996, 6.8644, 1.0636, 1.0000, 1.0000, 1.1234]


def test_upstream_s_numbers() -> None:
    got = [dynamic_guidance(6.0, 50, t) for t in range(999, 0, -20)]
    assert got[:10] == pytest.approx(FIRST, abs=1e-4)
    assert got[-8:] == pytest.approx(LAST, abs=1e-4)


def test_the_intended_one_rises_from_one_to_the_scale() -> None:
    got = [dynamic_guidance(6.0, 50, t, upstream=False) for t in range(999, -1, -1)]
    assert got[0] == 1.0 and got == sorted(got)
    assert got[-1] == pytest.approx(7.0, abs=0.01)
