"""Prompts as they are queued: the host validates nodes one by one, without the others in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from server import PromptServer

from . import notes

Prompt = Mapping[str, Any]

_queued: ContextVar[Prompt | None] = ContextVar("tora2_queued", default=None)
_watched: list[Any] = []


def watch(warn: Callable[[Prompt], Mapping[str, list[str]]]) -> None:
    """From now on know the prompt that is validated, and show warnings as it is queued.

    Args:
        warn: lines for nodes of a prompt by their ids.
    """
    server = getattr(PromptServer, "instance", None)
    if server is None or server in _watched:
        return
    _watched.append(server)

    def queued(request: dict[str, Any]) -> dict[str, Any]:
        prompt = request.get("prompt")
        _queued.set(prompt if isinstance(prompt, Mapping) else None)
        client = request.get("client_id")
        if isinstance(prompt, Mapping) and isinstance(client, str):
            for node, lines in warn(prompt).items():
                notes.show(node, lines, client)
        return request

    server.add_on_prompt_handler(queued)


def validated() -> Prompt | None:
    """The prompt that is validated now; None for one that did not come through the server."""
    return _queued.get()
