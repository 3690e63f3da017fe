"""The latent geometry of a video model: pixels, latents and tokens, converted and checked here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """How a video model's autoencoder and patches divide a video.

    The autoencoder is causal: the first frame has a latent frame of its own, every further latent
    frame stands for `temporal` frames. A model without temporal compression has `temporal` 1.

    Attributes:
        temporal: video frames in a latent frame, but for the first.
        spatial: pixels in a latent cell, along each side.
        channels: of the latents.
        patch: latent cells in a token, along each side.
    """

    temporal: int
    spatial: int
    channels: int
    patch: int

    @property
    def multiple(self) -> int:
        """Pixels in a token along each side; the sides of a video are multiples of it."""
        return self.spatial * self.patch

    @property
    def frame_rule(self) -> str:
        """Which numbers of frames there are, in words."""
        if self.temporal == 1:
            return "at least 1"
        return f"{self.temporal}k + 1 such as {12 * self.temporal + 1}"

    def allows_frames(self, frames: int) -> bool:
        """Whether a video of so many frames has whole latent frames."""
        return frames >= 1 and (frames - 1) % self.temporal == 0

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a video of `frames` frames."""
        return (frames - 1) // self.temporal + 1

    def video_frames(self, latent_frames: int) -> int:
        """Frames of a video of `latent_frames` latent frames."""
        return self.temporal * (latent_frames - 1) + 1

    def rounded_frames(self, frames: int) -> int:
        """The next number of frames that the model can make, upwards."""
        return self.video_frames(self.latent_frames(max(frames, 1) + self.temporal - 1))

    def latent_shape(
        self, frames: int, height: int, width: int, batch: int = 1
    ) -> tuple[int, int, int, int, int]:
        """(B, C, T, h, w) of the latents of a video of `frames` frames, sides in pixels."""
        cells = height // self.spatial, width // self.spatial
        return (batch, self.channels, self.latent_frames(frames), *cells)

    def tokens(self, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of tokens of a latent of `height` by `width` cells.

        Raises:
            ValueError: if a side is no multiple of the patch.
        """
        if height % self.patch or width % self.patch:
            raise ValueError(
                f"latents are {width}x{height}, expected sides that are multiples of {self.patch}"
            )
        return height // self.patch, width // self.patch

    def check_frames(self, frames: int, what: str = "frames") -> None:
        """Refuse a number of frames that the autoencoder cannot divide.

        Args:
            frames: of the video; `what`: its name, for the message.

        Raises:
            ValueError: names the number and the rule.
        """
        if not self.allows_frames(frames):
            raise ValueError(f"{what} is {frames}, expected {self.frame_rule}")

    def check_side(self, pixels: int, what: str) -> None:
        """Refuse a side (`what` names it) that does not divide into tokens.

        Raises:
            ValueError: names the side, its pixels and the multiple.
        """
        if pixels < 1 or pixels % self.multiple:
            raise ValueError(f"{what} is {pixels}, expected a multiple of {self.multiple}")

    def check_video(self, frames: int, height: int, width: int, what: str = "the video") -> None:
        """Refuse a video that the model cannot make, in one wording for every caller.

        Raises:
            ValueError: says the size and frames, and what was expected.
        """
        sides = height >= 1 and width >= 1 and not (height % self.multiple or width % self.multiple)
        if not sides or not self.allows_frames(frames):
            raise ValueError(
                f"{what} is {self.video_words(frames, height, width)}, expected {self.frame_rule} "
                f"frames and sides that are multiples of {self.multiple}"
            )

    @staticmethod
    def video_words(frames: int, height: int, width: int) -> str:
        """A video's size in words, width first."""
        return f"{width}x{height} with {frames} frames"

    def latent_words(self, frames: int, height: int, width: int) -> str:
        """The same of a latent of `frames` latent frames and `height` by `width` cells."""
        return self.video_words(
            self.video_frames(frames), height * self.spatial, width * self.spatial
        )


COGVIDEOX = Grid(temporal=4, spatial=8, channels=16, patch=2)
"""CogVideoX-1.0's, which the bundled model shares."""
WAN = Grid(temporal=4, spatial=8, channels=16, patch=2)
"""Wan 2.1's, of the same numbers."""
LATTE = Grid(temporal=1, spatial=8, channels=4, patch=2)
"""Latte's, whose autoencoder is one of pictures."""
