"""The appearance highway: skip branches of a U-Net's decoder made stronger."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

BETA = 1.1
RELEASED = (1,)
"""The one up-block whose skips the released inference scales."""

_SKIPS = "res_hidden_states_tuple"


@contextmanager
def appearance_highway(
    unet: Any, beta: float = BETA, blocks: Collection[int] | None = None
) -> Iterator[None]:
    """A context in which the skip branches of a video U-Net's decoder are multiplied by β.

    What a skip carries comes from before the deeper blocks' attention over time, so more of it is
    more of the prompt's own appearance.

    Args:
        unet: of diffusers, such as `UNetMotionModel` or `UNet3DConditionModel`.
        beta: β; 1 changes nothing.
        blocks: numbers of the up-blocks; all by default, `RELEASED` as in the released code.

    Raises:
        ValueError: if the model has no skip branches, or not those blocks.

    Source: "Separate Motion from Appearance", appearance highway (β 1.1 is its best).
    """
    ups = getattr(unet, "up_blocks", None)
    if ups is None:
        raise ValueError(
            f"the model is a {type(unet).__name__}, which has no skip branches to scale; "
            "the appearance highway needs a U-Net, such as UNetMotionModel"
        )
    wanted = range(len(ups)) if blocks is None else blocks
    for number in wanted:
        if not 0 <= number < len(ups):
            raise ValueError(f"up-block {number} is not there, expected 0 to {len(ups) - 1}")

    def scale(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if _SKIPS in kwargs:
            skips = kwargs[_SKIPS]
            return args, {**kwargs, _SKIPS: tuple(skip * beta for skip in skips)}
        hidden, skips, *rest = args
        return (hidden, tuple(skip * beta for skip in skips), *rest), kwargs

    with ExitStack() as hooks:
        for number in wanted:
            hooks.callback(ups[number].register_forward_pre_hook(scale, with_kwargs=True).remove)
        yield
