"""The nodes of the pack."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io


class Tora2Extension(ComfyExtension):
    """Registers the model folder and the nodes, unless another copy of the pack has."""

    async def on_load(self) -> None:
        from .host import queue, users
        from .host.files import register_folders
        from .sizes import queue_warnings

        register_folders()
        users.watch()
        queue.watch(queue_warnings)

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        from .host.packs import is_second
        from .tiny import Tora2LoadTiny

        return [] if is_second(Tora2LoadTiny.define_schema().node_id) else self._nodes()

    @staticmethod
    def _nodes() -> list[type[io.ComfyNode]]:
        from .apply import Tora2Apply
        from .bind import Tora2Bind
        from .control import Tora2ControlVideo
        from .customization import (
            Tora2AppearanceHighway,
            Tora2CollaborativeGuider,
            Tora2LoadMotionLora,
        )
        from .cutouts import Tora2CutOut
        from .dials import Tora2EntityDials, Tora2Guider
        from .doctor import Tora2Doctor
        from .editor import Tora2TrajectoryEditor
        from .encoders import Tora2LoadEncoders
        from .entities import Tora2EncodeEntity
        from .entity_files import Tora2LoadEntity, Tora2SaveEntity
        from .examples import Tora2ExamplePicture
        from .image_to_video import Tora2ImageToVideo
        from .loaders import Tora2LoadAdapter, Tora2LoadModel
        from .measuring import Tora2MeasureLikeness, Tora2MeasureTrajectory
        from .overlay import Tora2Overlay
        from .placing import Tora2PlaceEntities
        from .sampling import Tora2Sampler
        from .sizes import Tora2EmptyVideo
        from .sweeping import Tora2Sweep, Tora2SweepChart
        from .tiny import Tora2LoadTiny
        from .tracking import Tora2TrackVideo
        from .tracks import Tora2Tracks
        from .trajectories import Tora2ExportTrajectories, Tora2ImportTrajectories
        from .validation import guarded

        known = (
            Tora2LoadTiny,
            Tora2LoadModel,
            Tora2LoadAdapter,
            Tora2LoadEncoders,
            Tora2ExamplePicture,
            Tora2EncodeEntity,
            Tora2EntityDials,
            Tora2SaveEntity,
            Tora2LoadEntity,
            Tora2TrajectoryEditor,
            Tora2ImportTrajectories,
            Tora2ExportTrajectories,
            Tora2Tracks,
            Tora2CutOut,
            Tora2PlaceEntities,
            Tora2ControlVideo,
            Tora2Bind,
            Tora2Apply,
            Tora2ImageToVideo,
            Tora2EmptyVideo,
            Tora2Guider,
            Tora2Sampler,
            Tora2Overlay,
            Tora2Doctor,
            Tora2MeasureTrajectory,
            Tora2MeasureLikeness,
            Tora2TrackVideo,
            Tora2Sweep,
            Tora2SweepChart,
            Tora2LoadMotionLora,
            Tora2CollaborativeGuider,
            Tora2AppearanceHighway,
        )
        return [guarded(node) for node in known]
