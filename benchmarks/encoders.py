"""Cost of a reference picture: seconds and memory of each encoder, and of the second run.

Run `python benchmarks/encoders.py [--device cuda] [--face models/insightface/models/antelopev2]`.
DINOv2-L and Mask R-CNN run at their published sizes with random weights, which cost the same;
faces need the real files.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tora2.encoders.dino import DinoEncoder  # noqa: E402
from tora2.encoders.entity import Encoders, encode_entity  # noqa: E402
from tora2.encoders.face import load_face  # noqa: E402
from tora2.encoders.object import MaskRcnnEncoder  # noqa: E402
from tora2.encoders.pictures import Picture  # noqa: E402

SIDE, REPEATS = 1024, 2


def dino(device: torch.device) -> DinoEncoder:
    from transformers import Dinov2Config, Dinov2Model

    with torch.device("meta"):
        config = Dinov2Config(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16)
        model = Dinov2Model(config)
    return DinoEncoder(filled(model)).to(device)


def mask_rcnn(device: torch.device) -> MaskRcnnEncoder:
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    with torch.device("meta"):
        backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None)
        model = MaskRCNN(backbone, num_classes=91)
    return MaskRcnnEncoder(filled(model)).to(device)


def filled(model: torch.nn.Module) -> torch.nn.Module:
    model = model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0, 0.02)
    return model


def seconds(function: Callable[[], object], device: torch.device) -> float:
    """Wall time on a GPU; the CPU time of all threads, which other programs do not change."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    times = []
    for _ in range(REPEATS + 1):
        before = clock()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - before)
    return statistics.median(times[1:])


def megabytes(device: torch.device) -> float:
    """Peak since the start on the CPU, since the last reset on a GPU."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--face", help="a folder such as antelopev2")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    image = torch.randint(0, 256, (3, SIDE, SIDE), dtype=torch.uint8)
    box = (0.0, 0.0, float(SIDE), float(SIDE))
    print(f"{device}, {torch.get_num_threads()} threads, a picture of {SIDE}x{SIDE}")
    print(f"{'':24}{'s a picture':>12}{'peak MB':>10}")

    def row(name: str, cost: float) -> None:
        print(f"{name:24}{cost:12.3f}{megabytes(device):10.0f}")

    megabytes(device)
    row("(before any encoder)", 0.0)
    semantic = dino(device)
    row("DINOv2-L", seconds(lambda: semantic.encode(image), device))
    prior = mask_rcnn(device)
    row("Mask R-CNN R50-FPN", seconds(lambda: prior.encode(image, box), device))
    if arguments.face:
        face = load_face(arguments.face, device)
        row("face detection", seconds(lambda: face.detector.detect(image), device))
    encoders = Encoders(semantic=semantic, object=prior)
    encode_entity(encoders, [Picture(image)], "cup")
    row("second run", seconds(lambda: encode_entity(encoders, [Picture(image)], "cup"), device))


if __name__ == "__main__":
    main()
