"""Mask R-CNN's box head as the identity of objects.

The paper takes "ReID" of OWTB (arXiv 2104.11221), whose embedding is such a box feature of 1024
channels; torchvision's needs no further package. See docs/method.md, Personalization.
"""

import os
import pickle
import struct
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..files import regular_file
from .fingerprint import fingerprint
from .protocols import Box

DIM = 1024
_WEIGHTS = "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth from download.pytorch.org"

# What the weights-only unpickler raises at refused and at damaged streams.
_UNPICKLING = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
)


class MaskRcnnEncoder(nn.Module):
    """The feature before the class scores (`roi_heads.box_head.fc7`) of a box in a picture.

    Args:
        model: torchvision's Mask R-CNN R50-FPN; proposals and masks are let go.
    """

    dim = DIM

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        network: Any = model
        self.transform = network.transform
        self.backbone = network.backbone
        self.box_roi_pool = network.roi_heads.box_roi_pool
        self.box_head = network.roi_heads.box_head
        self.eval().requires_grad_(False)
        self.key = f"maskrcnn-{fingerprint(self.state_dict())}"

    @torch.no_grad()
    def encode(self, image: Tensor, box: Box) -> Tensor:
        """uint8 [3, H, W], on white, and a box in its pixels to [1024], float32 on the CPU."""
        weight = next(self.parameters())
        pixels = image.to(weight.device, weight.dtype) / 255
        target = {"boxes": torch.tensor([box], device=weight.device, dtype=weight.dtype)}
        images, targets = self.transform([pixels], [target])
        features = self.backbone(images.tensors)
        regions = self.box_roi_pool(features, [targets[0]["boxes"]], images.image_sizes)
        return self.box_head(regions)[0].float().cpu()


def load_mask_rcnn(
    path: str | os.PathLike[str], device: torch.device | str = "cpu"
) -> MaskRcnnEncoder:
    """Load torchvision's Mask R-CNN R50-FPN (version 1) from a state dict.

    Args:
        path: `.pth` as torchvision publishes it, read weights-only, or safetensors.

    Raises:
        ValueError: if torchvision is missing, or the file is absent, unsafe or something else.
    """
    try:
        from torchvision.models.detection import MaskRCNN
        from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
        from torchvision.ops import FrozenBatchNorm2d
    except ImportError as error:
        raise ValueError(
            "torchvision is not installed, which the object encoder needs; "
            "install it with: python -m pip install torchvision"
        ) from error
    state = _state(Path(path))
    # As torchvision's own weights are run: batch normalisation frozen, and without its epsilon.
    frozen = partial(FrozenBatchNorm2d, eps=0.0)
    with torch.device("meta"):
        backbone = resnet_fpn_backbone(
            backbone_name="resnet50", weights=None, norm_layer=frozen, trainable_layers=0
        )
        model = MaskRCNN(backbone, num_classes=91)
    kept = tuple(f"{part}." for part in ("backbone", "roi_heads.box_head"))
    expected = {name: x for name, x in model.state_dict().items() if name.startswith(kept)}
    for name, tensor in expected.items():
        found = state.get(name)
        if found is None or found.shape != tensor.shape:
            got = "nothing" if found is None else str(tuple(found.shape))
            raise ValueError(
                f"{path} has {got} for {name}; expected {tuple(tensor.shape)} as in {_WEIGHTS}"
            )
    model.load_state_dict(
        {name: state[name].to(torch.float32) for name in expected}, strict=False, assign=True
    )
    return MaskRcnnEncoder(model).to(device)


def _state(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        regular_file(path)
    except OSError as error:
        raise ValueError(f"{path} is not there; expected {_WEIGHTS}") from error
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, *_UNPICKLING) as error:
        raise ValueError(
            f"{path} is refused: it is damaged or holds more than tensors; expected {_WEIGHTS}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(x, Tensor) for x in state.values()):
        raise ValueError(f"{path} holds no state dict; expected {_WEIGHTS}")
    return state
