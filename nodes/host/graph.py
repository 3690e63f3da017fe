"""What the prompt that runs now connects to a node."""

from __future__ import annotations

from typing import Any

from comfy_execution.graph_utils import is_link
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context


def is_connected(output: int) -> bool:
    """Whether any node of the running prompt takes an output of the node that runs.

    The same answer while the host asks for fingerprints as while it executes. Where no prompt
    runs, or a node made by another one asks, the output counts as connected.
    """
    found = running()
    if found is None:
        return True
    prompt, own = found
    return any(
        is_link(value) and list(value) == [own, output]
        for node in prompt.values()
        for value in node["inputs"].values()
    )


def running() -> tuple[dict[str, Any], str] | None:
    """The prompt that runs and the id of the node that does; None where none is or another's."""
    context = get_executing_context()
    if context is None:
        return None
    prompt = get_progress_state().dynprompt.get_original_prompt()
    return (prompt, context.node_id) if context.node_id in prompt else None
