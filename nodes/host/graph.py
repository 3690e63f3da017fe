"""What the prompt that runs now connects to a node."""

from __future__ import annotations

from comfy_execution.graph_utils import is_link
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context


def is_connected(output: int) -> bool:
    """Whether any node of the running prompt takes an output of the node that runs.

    The same answer while the host asks for fingerprints as while it executes. Where no prompt
    runs, or a node made by another one asks, the output counts as connected.
    """
    context = get_executing_context()
    if context is None:
        return True
    prompt = get_progress_state().dynprompt.get_original_prompt()
    if context.node_id not in prompt:
        return True
    return any(
        is_link(value) and list(value) == [context.node_id, output]
        for node in prompt.values()
        for value in node["inputs"].values()
    )
