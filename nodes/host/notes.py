"""Words on a node: what a run, or queueing one, wants the user to know."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_execution.utils import get_executing_context
from server import PromptServer

_told: set[str] = set()
"""Nodes that show words, which a run without any takes away."""


def tell(lines: Sequence[str]) -> None:
    """Show lines on the node that runs, in place of those that it shows."""
    context = get_executing_context()
    server = getattr(PromptServer, "instance", None)
    if context is not None and server is not None:
        show(context.node_id, lines, server.client_id)


def show(node: str, lines: Sequence[str], client: str | None) -> None:
    """Show lines on a node of a client's graph, in place of those that it shows."""
    if lines or node in _told:
        (_told.add if lines else _told.discard)(node)
        PromptServer.instance.send_progress_text("\n".join(lines), node, client)
