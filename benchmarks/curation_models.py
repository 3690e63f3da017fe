"""What the models of curation cost: parameters, and operations for each frame or word they read.

Their published widths are built without weights and memory (torch's meta device), so nothing is
loaded or fetched: python benchmarks/curation_models.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf
from torch.utils.flop_counter import FlopCounterMode


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype, device="meta")


def text_detector() -> tuple[Any, Callable[[Any], object]]:
    config = hf.PPOCRV5MobileDetConfig()  # the server's configuration has no defaults
    return hf.PPOCRV5MobileDetForObjectDetection(config), lambda m: m(zeros(1, 3, 544, 960))


def clip() -> tuple[Any, Callable[[Any], object]]:
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    vision = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
    }
    config = hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    return hf.CLIPModel(config), lambda m: m.vision_model(pixel_values=zeros(1, 3, 224, 224))


def sam3() -> tuple[Any, Callable[[Any], object]]:
    return hf.Sam3Model(hf.Sam3Config()), lambda m: m.vision_encoder(zeros(1, 3, 1008, 1008))


def sam2() -> tuple[Any, Callable[[Any], object]]:
    hiera = hf.Sam2HieraDetConfig(
        hidden_size=144,
        num_attention_heads=2,
        blocks_per_stage=[2, 6, 36, 4],
        embed_dim_per_stage=[144, 288, 576, 1152],
        num_attention_heads_per_stage=[2, 4, 8, 16],
        window_size_per_stage=[8, 4, 16, 8],
        global_attention_blocks=[23, 33, 43],
    )
    vision = hf.Sam2VisionConfig(backbone_config=hiera, backbone_channel_list=[1152, 576, 288, 144])
    model = hf.Sam2Model(hf.Sam2Config(vision_config=vision))
    return model, lambda m: m.vision_encoder(zeros(1, 3, 1024, 1024))


def grounding_dino() -> tuple[Any, Callable[[Any], object]]:
    swin = hf.SwinConfig(
        image_size=384,
        embed_dim=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=12,
        out_features=["stage2", "stage3", "stage4"],
    )
    model = hf.GroundingDinoForObjectDetection(hf.GroundingDinoConfig(backbone_config=swin))
    return model, lambda m: m.model.backbone(
        zeros(1, 3, 800, 1333), torch.ones(1, 800, 1333, dtype=torch.long, device="meta")
    )


def instruct() -> tuple[Any, Callable[[Any], object]]:
    config = hf.Qwen2Config(
        vocab_size=152064,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
    )
    return hf.Qwen2ForCausalLM(config), lambda m: m(zeros(1, 256, dtype=torch.long))


MODELS = {
    "text: PP-OCRv5_mobile_det, a frame of 960x544": text_detector,
    "aesthetic: CLIP ViT-L/14, a frame of 224x224": clip,
    "masks: SAM 3, its encoder, a frame of 1008x1008": sam3,
    "masks: SAM 2.1 large, its encoder, a frame of 1024x1024": sam2,
    "masks: Grounding DINO base, its backbone, 1333x800": grounding_dino,
    "nouns: Qwen2.5-7B-Instruct, 256 tokens": instruct,
}


def main() -> None:
    """One line a model."""
    for name, make in MODELS.items():
        with torch.device("meta"):
            model, run = make()
        model.eval()
        parameters = sum(p.numel() for p in model.parameters()) / 1e6
        try:
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                run(model)
            operations = f"{counter.get_total_flops() / 1e12:8.3f} TFLOP"
        except (
            RuntimeError,
            NotImplementedError,
            ValueError,
            TypeError,
        ) as error:  # what depends on values
            operations = f"not counted ({str(error).splitlines()[0][:60]})"
        print(f"{name:58} {parameters:8.1f} M parameters {operations}")


if __name__ == "__main__":
    main()
