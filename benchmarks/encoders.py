"""Cost of a reference picture: seconds and memory of each encoder, and of the second run.

Run `python benchmarks/encoders.py [--device cuda] [--face models/insightface/models/antelopev2]`.
All networks run at their published sizes with random weights, which cost the same; `--face` takes
real files. A face costs a detection for each rung of the ladder that is tried, and a recognition.
onnxruntime is given torch's number of threads, and does not count in the peak of a GPU.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tora2.encoders.dino import DinoEncoder  # noqa: E402
from tora2.encoders.entity import Encoders, encode_entity  # noqa: E402
from tora2.encoders.face import FaceEncoder, load_face  # noqa: E402
from tora2.encoders.object import MaskRcnnEncoder  # noqa: E402
from tora2.encoders.pictures import Picture  # noqa: E402
from tora2.encoders.protocols import Face  # noqa: E402

SIDE, REPEATS = 1024, 2
EYES_NOSE_MOUTH = ((400.0, 420.0), (624.0, 420.0), (512.0, 540.0), (420.0, 660.0), (604.0, 660.0))


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


def limit_threads() -> None:
    """Give onnxruntime torch's threads; those that wait would count as CPU time."""
    import onnxruntime

    original = onnxruntime.InferenceSession.__init__

    def limited(self: object, *given: object, **named: object) -> None:
        if named.get("sess_options") is None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            named["sess_options"] = options
        original(self, *given, **named)

    onnxruntime.InferenceSession.__init__ = limited


def face_networks(folder: str | None, device: torch.device) -> FaceEncoder:
    """From a folder, or antelopev2's sizes with random weights."""
    if folder is not None:
        return load_face(folder, device)
    script = Path(__file__).with_name("face_networks.py")
    with tempfile.TemporaryDirectory() as made:
        # Another process, so that its memory is not in our peak.
        subprocess.run([sys.executable, str(script), made], check=True)
        face = load_face(made, device)
        face.detector.detect(torch.zeros(3, 64, 64, dtype=torch.uint8))  # loads the files
    return face


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

    limit_threads()
    megabytes(device)
    row("(before any encoder)", 0.0)
    face = face_networks(arguments.face, device)
    seen = Face((300.0, 250.0, 724.0, 774.0), 1.0, EYES_NOSE_MOUTH)
    row("face detection", seconds(lambda: face.detector.detect(image), device))
    row("face recognition", seconds(lambda: face.recogniser.embed(image, seen), device))
    semantic = dino(device)
    row("DINOv2-L", seconds(lambda: semantic.encode(image), device))
    prior = mask_rcnn(device)
    row("Mask R-CNN R50-FPN", seconds(lambda: prior.encode(image, box), device))
    encoders = Encoders(semantic=semantic, object=prior)
    encode_entity(encoders, [Picture(image)], "cup")
    row("second run", seconds(lambda: encode_entity(encoders, [Picture(image)], "cup"), device))


if __name__ == "__main__":
    main()
