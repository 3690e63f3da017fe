"""The nodes of the pack."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io


class Tora2Extension(ComfyExtension):
    """Registers the model folder and the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        from .editor import Tora2TrajectoryEditor

        return [Tora2TrajectoryEditor]
