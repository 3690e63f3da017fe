"""ComfyUI's door to this repository: Tora2 nodes and the trajectory editor."""

WEB_DIRECTORY = "./web"

if __package__:  # pytest and pip import this file without a package; ComfyUI never does

    async def comfy_entrypoint():
        from .nodes import Tora2Extension

        return Tora2Extension()
