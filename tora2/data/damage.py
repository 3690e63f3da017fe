"""A share of damaged clips that work goes on with: counted, named, never silent."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

PATIENCE = 100
_NAMED = 20


class Damage:
    """Counts clips, names the damaged ones (the first of them), and stops at too many.

    Args:
        share: of the clips seen that may be damaged.
        patience: clips seen before the share counts: of fewer, the share of so many may be.
    """

    def __init__(self, share: float = 0.01, patience: int = PATIENCE) -> None:
        self.share, self.patience = share, patience
        self.seen = self.damaged = 0

    def sound(self, count: int = 1) -> None:
        """So many clips were whole."""
        self.seen += count

    def found(self, error: Exception | str, count: int = 1) -> None:
        """A clip was damaged, or `count` of which `error` tells.

        Raises:
            ValueError: if that is more than the share; it says how many, and `error`.
        """
        self.seen += count
        self.damaged += count
        if self.damaged - count < _NAMED:
            logger.warning("skipped a damaged clip: %s", error)
        if self.damaged > self.share * max(self.seen, self.patience):
            cause = error if isinstance(error, Exception) else None
            raise ValueError(
                f"{self.damaged} of {self.seen} clips are damaged, expected at most "
                f"{100 * self.share:g} %; the last: {error}"
            ) from cause
