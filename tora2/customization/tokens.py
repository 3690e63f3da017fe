"""Where the text's tokens end in an attention that text and video share."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any


class TextTokens:
    """A context that knows how many text tokens stand before the video's in a layer's input.

    Args:
        transformer: of diffusers, whose attention is called with `encoder_hidden_states` where it
            is joint.
        layer: name of a layer of such an attention.
    """

    def __init__(self, transformer: Any, layer: str) -> None:
        name = layer.partition(".to_")[0]
        self.attention = transformer.get_submodule(name)
        self._count = 0
        self._hooks = ExitStack()

    def count(self) -> int:
        """Of the attention's latest call; 0 where it has no text."""
        return self._count

    def __enter__(self) -> TextTokens:
        def look(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            text = kwargs.get("encoder_hidden_states")
            self._count = 0 if text is None else text.shape[1]

        hook = self.attention.register_forward_pre_hook(look, with_kwargs=True)
        self._hooks.callback(hook.remove)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hooks.close()
