"""Words on a node: what its last run wants the user to know."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_execution.utils import get_executing_context
from server import PromptServer

_told: set[str] = set()
"""Nodes that show words, which a run without any takes away."""


def tell(lines: Sequence[str]) -> None:
    """Show lines on the node that runs, in place of those of its last run."""
    context = get_executing_context()
    server = getattr(PromptServer, "instance", None)
    if context is None or server is None or not (lines or context.node_id in _told):
        return
    (_told.add if lines else _told.discard)(context.node_id)
    server.send_progress_text("\n".join(lines), context.node_id, server.client_id)
