"""What SpriteBind's clips are like."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from ...fields import number, show
from ...geometry import COGVIDEOX
from ...settings import Within
from .sprites import SHAPES

MAX_ENTITIES, MAX_PICTURES = 3, 2
_FEWEST_FRAMES = 5
SpriteSize = Literal["small", "large"]


@dataclass(frozen=True)
class SpriteBindConfig:
    """Size of the clips, their sprites and pictures; `sigma` is the flow map's Gaussian, pixels.

    Attributes:
        sprites: `small` ones differ in size and turn, which nothing tells. `large` ones are two
            tokens across, so that a shape is not all within one, of one size and upright: words,
            pictures and paths say what there is to see.
        untold: share of the training clips' sprites whose path is not told.
        still: whether these stay where they are: of what is not told to move, that is what is
            expected, and it leaves no more to chance than the place.
        meeting: share of the clips in which sprites may cover each other; which is in front is told
            by nothing. The hard split has no others.
        fastest: largest way of a sprite from one frame to the next, as a share of the side; 0: any.
            What moves faster is a blur in latents that are coarser in time by four.
        window: frames that are shown of each clip, from anywhere in it; 0: all. Shapes and textures
            are learned from short clips at a third of the cost of drawing and training.
        often: how often a shape is drawn for training, as a multiple of one that is not named:
            those that are hard to draw may be shown more.
    """

    size: Annotated[int, Within(16, 1024)] = 96
    frames: Annotated[int, Within(_FEWEST_FRAMES, 257)] = 17
    picture: Annotated[int, Within(16, 512)] = 64
    min_entities: Annotated[int, Within(1, MAX_ENTITIES)] = 1
    max_entities: Annotated[int, Within(1, MAX_ENTITIES)] = MAX_ENTITIES
    sigma: Annotated[float, Within(0.1, 100)] = 6.0
    sprites: SpriteSize = "small"
    untold: Annotated[float, Within(0, 1)] = 0.1
    still: bool = True
    meeting: Annotated[float, Within(0, 1)] = 1.0
    fastest: Annotated[float, Within(0, 10)] = 0.0
    window: Annotated[int, Within(0, 257)] = 0
    often: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for shape, times in self.often.items():
            if shape not in SHAPES:
                raise ValueError(
                    f"often names the shape {show(shape)}; expected some of {', '.join(SHAPES)}"
                )
            number(times, f"often.{shape}", 0.01, 100)
        COGVIDEOX.check_video(self.frames, self.size, self.size, "a clip")
        if self.window:
            COGVIDEOX.check_video(self.window, self.size, self.size, "a window")
        if self.window > self.frames:
            raise ValueError(f"window is {self.window}, expected at most {self.frames} frames")
        if self.min_entities > self.max_entities:
            raise ValueError(
                f"min_entities is {self.min_entities}, expected at most max_entities, "
                f"which is {self.max_entities}"
            )

    @property
    def whole(self) -> "SpriteBindConfig":
        """The same with all frames shown."""
        return replace(self, window=0)
