"""LoRA files with bytes of their header or matrices changed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from tora2.customization import Lora, LoraInfo, write_lora


def cases(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents; every case is a function of the seed and its number."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole.safetensors"
        pair = (torch.ones(2, 4), torch.ones(6, 2))
        layers = {f"transformer_blocks.{i}.attn1.to_k": pair for i in range(2)}
        write_lora(Lora(LoraInfo("a model", "motion", "tap", 2, token="spin"), layers), path)
        whole = path.read_bytes()
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        damaged = bytearray(whole)
        for _ in range(int(rng.integers(1, 6))):
            place = int(rng.integers(8, len(damaged)))
            damaged[place] = int(rng.choice([*b'0129-."{}[],:e', *rng.integers(0, 256, 3)]))
        end = len(damaged) if rng.random() < 0.8 else int(rng.integers(0, len(damaged)))
        yield f"{seed}-{number}", bytes(damaged[:end])
