"""Whose work is at hand: on a `--multi-user` host every user has folders of their own.

The host tells nodes no user. It does tell who asks (a request's header) and which prompt is being
executed, so the user is taken from the request, and kept for the prompt that it queues.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import folder_paths
from aiohttp import web
from comfy.cli_args import args
from comfy_execution.utils import get_executing_context
from server import PromptServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MOST = 1 << 16
_asking: ContextVar[str | None] = ContextVar("tora2_user", default=None)
_prompts: OrderedDict[str, str | None] = OrderedDict()
_watched: list[Any] = []


def watch() -> None:
    """From now on know who asks and who queued what; nothing on a host of one user."""
    server = getattr(PromptServer, "instance", None)
    if not args.multi_user or server is None or server in _watched:
        return
    _watched.append(server)

    @web.middleware
    async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _asking.set(server.user_manager.get_request_user_id(request))
        except KeyError:
            _asking.set(None)
        return await handler(request)

    server.app.middlewares.append(known)
    server.add_on_prompt_handler(_queued)


def _queued(request: dict[str, Any]) -> dict[str, Any]:
    """Keep whose prompt it is. Its id is the client's own, unless another user has that one."""
    user, name = _asking.get(), request.get("prompt_id")
    if name is None or (isinstance(name, str) and _prompts.get(name, user) != user):
        name = request["prompt_id"] = str(uuid.uuid4())
    if isinstance(name, str):
        _prompts[name] = user
        while len(_prompts) > _MOST:
            _prompts.popitem(last=False)
    return request


def current() -> str | None:
    """Who asked, or whose prompt is executed; None for nobody known, and on a host of one user.

    Raises:
        ValueError: if a prompt is executed that did not come through the server.
    """
    if not args.multi_user:
        return None
    executed = get_executing_context()
    if executed is None:
        return _asking.get()
    if executed.prompt_id not in _prompts:
        raise ValueError(
            f"the prompt {executed.prompt_id} was queued by a user who is not known, expected one "
            "that came through ComfyUI's own queue"
        )
    return _prompts[executed.prompt_id]


def folder() -> Path | None:
    """The folder of the current user; None where there is none, as on a host of one user.

    Raises:
        ValueError: as `current`.
    """
    user = current()
    path = None if user is None else folder_paths.get_public_user_directory(user)
    return None if path is None else Path(path)
