"""Small networks and videos on which the public evaluators were run, made again from seeds."""

import json
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import discs
import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, SamConfig, SamModel, ViTConfig, ViTModel

HEIGHT, WIDTH, FRAMES = 96, 130, 6
WORDS = ("hot dog", "woman", "red dog")
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "hot", "dog", "woman", "red", "##s"]
BOXES = 12
CAPTIONS = (
    "a woman and a red dog",
    "  The WOMAN\u2019s dog isn\u2019t 42 years old &amp; \u201cruns\u201d: caf\u00e9,\n\tdog!! ",
    "the red dog and the woman, " * 20,
)
MERGES = (
    "t h,th e</w>,d o,do g</w>,a n,an d</w>,a n</w>,w o,wo m,wom an</w>,r e,re d</w>,l d</w>,r u,"
    "ru n,run s</w>,' s</w>,! !</w>,y e,o ld</w>"
).split(",")
_SAM = {"hidden_size": 32, "num_attention_heads": 2}


def video() -> Tensor:
    """uint8 [T, H, W, 3] of two discs."""
    paths = [
        discs.straight((30, 30), (50, 60), FRAMES),
        discs.straight((100, 60), (80, 40), FRAMES),
    ]
    return discs.video(paths, (HEIGHT, WIDTH), 22.0)


def filled(network: nn.Module, scale: float = 0.15) -> nn.Module:
    """The network with weights that depend on their names alone."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
            if name.endswith("norm.weight") or "layernorm" in name and name.endswith("weight"):
                weight.add_(1)
    return network.eval()


def sam() -> SamModel:
    """SAM of 64x64 pixels, which is mostly sure of its masks."""
    config = SamConfig(
        vision_config={
            **_SAM,
            "num_hidden_layers": 2,
            "image_size": 64,
            "patch_size": 16,
            "window_size": 2,
            "global_attn_indexes": [1],
            "output_channels": 32,
            "num_pos_feats": 16,
            "mlp_dim": 128,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16},
        mask_decoder_config={
            **_SAM,
            "num_hidden_layers": 2,
            "mlp_dim": 64,
            "iou_head_hidden_dim": 32,
        },
    )
    network = filled(SamModel(config))
    with torch.no_grad():
        # Each frequency of the two embeddings of places is the same one.
        shared = network.shared_image_embedding.positional_embedding
        generator = torch.Generator().manual_seed(1)
        shared.copy_(torch.randn(shared.shape, generator=generator))
        network.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
        network.mask_decoder.iou_prediction_head.proj_out.bias.add_(1.0696)
    return network


def dino() -> ViTModel:
    """DINO's ViT/16 at 224x224 pixels."""
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        layer_norm_eps=1e-6,
    )
    return filled(ViTModel(config, add_pooling_layer=False))


def clip() -> CLIPModel:
    """CLIP's two encoders, of 224x224 pixels and 77 tokens of `write_words`."""
    words = len(pieces())
    parts = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    ends = {"bos_token_id": words - 2, "eos_token_id": words - 1}
    text = {**parts, **ends, "hidden_size": 32, "vocab_size": words}
    vision = {**parts, "hidden_size": 128, "intermediate_size": 512, "patch_size": 32}
    return filled(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)))


def pieces() -> list[str]:
    """What CLIP's tokenizer knows: bytes, bytes at the end of a word, and merges of them."""
    known = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in known]
    letters = [chr(byte) for byte in known] + [chr(256 + place) for place in range(len(rest))]
    merged = [merge.replace(" ", "") for merge in MERGES]
    ends = ["<|startoftext|>", "<|endoftext|>"]
    return [*letters, *(letter + "</w>" for letter in letters), *merged, *ends]


def write_words(folder: Path) -> None:
    """The files of transformers' tokenizer of CLIP."""
    numbers = {piece: number for number, piece in enumerate(pieces())}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]))


def real_video() -> Tensor:
    """uint8 [3, H', W', 3]: frames of another video, upright rather than wide, and ever lighter."""
    paths = [discs.straight((40, 30), (30, 120), 3), discs.straight((70, 120), (60, 40), 3)]
    light = torch.tensor([0.9, 0.3, 0.0])[:, None, None, None]
    return (255 - light * discs.video(paths, (151, 98), 25.0)).byte()


def detections() -> tuple[Tensor, Tensor]:
    """Logits [T, boxes, 256] of tokens and boxes [T, boxes, 4] as a detector might give them."""
    generator = np.random.default_rng(3)
    logits = generator.normal(-2.0, 1.0, (FRAMES, BOXES, 256))
    boxes = np.concatenate(
        [
            generator.uniform(0.3, 0.7, (FRAMES, BOXES, 2)),
            generator.uniform(0.2, 0.5, (FRAMES, BOXES, 2)),
        ],
        -1,
    )
    logits[:, :3, :12] += 2.5  # a few boxes are sure of something
    return torch.from_numpy(logits).float(), torch.from_numpy(boxes).float()


def references() -> dict[str, Tensor]:
    """[R, 32] of each word."""
    generator = np.random.default_rng(5)
    return {
        word: torch.from_numpy(generator.normal(size=(1 + place, 32))).float()
        for place, word in enumerate(WORDS)
    }


class Detector(nn.Module):
    """Stands for Grounding DINO: gives `detections`, frame by frame, and keeps its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.seen: list[Tensor] = []

    def forward(self, pixel_values: Tensor, **tokens: Any) -> Any:
        logits, boxes = detections()
        time = len(self.seen)
        self.seen.append(pixel_values)
        return SimpleNamespace(logits=logits[time][None], pred_boxes=boxes[time][None])


FACES: list[list[tuple[float, ...]]] = [
    [(40.2, 30.6, 70.1, 66.4, 0.9), (10.0, 12.0, 30.0, 40.0, 0.5)],
    [],
    [(5.6, 3.4, 44.7, 50.2, 0.31)],
    [(60.4, 50.3, 99.6, 95.9, 0.15)],
    [(70.0, 40.0, 100.0, 80.0, 0.6)],
    [(20.3, 21.7, 60.2, 70.1, 0.25), (80.6, 20.7, 118.4, 70.3, 0.8)],
]
"""Boxes (left, top, right, bottom) and scores of faces in each frame."""


def face_vector(square: Tensor) -> Tensor:
    """[16] of a face float [3, 112, 112] in [-1, 1]: stands for ArcFace."""
    weight = torch.from_numpy(np.random.default_rng(7).normal(size=(16, 3 * 49))).float()
    return weight @ nn.functional.adaptive_avg_pool2d(square, 7).flatten()


def face_references() -> Tensor:
    """[3, 16]."""
    return torch.from_numpy(np.random.default_rng(9).normal(size=(3, 16))).float()


def flows(seed: int, pairs: int, height: int, width: int) -> Tensor:
    """[T, 2, H, W] that move in about as many pairs as it takes, in a corner."""
    generator = np.random.default_rng(seed)
    flow = generator.normal(0, 0.4, (pairs, 2, height, width))
    strength = generator.uniform(0.2, 1.15, pairs) * 6 * min(height, width) / 256
    flow[:, 0, : height // 3, : width // 4] += strength[:, None, None]
    return torch.from_numpy(flow).float()
