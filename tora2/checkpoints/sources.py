"""Where the published weights are, what each enables, its size and its licence."""

from __future__ import annotations

from dataclasses import dataclass

NO_TORA2 = (
    "No Tora2 weights were ever published by its authors: appearance and binding come from an "
    "adapter trained with `python -m tora2 train`, or from the bundled tiny model."
)
COGVIDEOX_LICENCE = (
    "CogVideoX License (free for research; commercial use needs registration, at most a million "
    "visits a month)"
)


@dataclass(frozen=True)
class Source:
    """One published file or folder.

    Attributes:
        what: what it is and enables.
        file: its place in the repository.
        huggingface, modelscope: repository ids; empty where there is none that we know.
        size: in words.
        licence: of the weights.
    """

    what: str
    file: str
    huggingface: str
    modelscope: str
    size: str
    licence: str

    def __str__(self) -> str:
        hubs = (("Hugging Face", self.huggingface), ("ModelScope", self.modelscope))
        places = ", ".join(f"{hub} {name}" for hub, name in hubs if name)
        return f"{self.what}: {places}: {self.file} ({self.size}; {self.licence})"


_TORA = "Alibaba-Research-Intelligence-Computing/Tora"

TORA_SPLIT = Source(
    "Tora's motion parts for a CogVideoX-5B that is already there (trajectory control)",
    "fuser/fuser.safetensors and traj_extractor/traj_extractor.safetensors (…_I2V for I2V)",
    "Kijai/CogVideoX-5b-Tora",
    "",
    "1.34 GB and 50 MB",
    f"its card says Apache-2.0, the weights are Tora's: {COGVIDEOX_LICENCE}",
)
TORA_SAT = Source(
    "Tora whole, text-to-video and image-to-video, as its authors published it (SAT)",
    "tora/t2v/mp_rank_00_model_states.pt, tora/i2v/mp_rank_00_model_states.pt",
    _TORA,
    "xiaoche/Tora",
    "22.5 GB for text-to-video",
    COGVIDEOX_LICENCE,
)
TORA_DIFFUSERS = Source(
    "Tora whole, text-to-video, for diffusers",
    "transformer/, vae/, text_encoder/, tokenizer/",
    f"{_TORA}_T2V_diffusers",
    "Alibaba_Research_Intelligence_Computing/Tora_T2V_diffusers",
    "32.4 GB",
    COGVIDEOX_LICENCE,
)
BASE = Source(
    "CogVideoX-5B, the frozen text-to-video base (plain text-to-video)",
    "transformer/",
    "zai-org/CogVideoX-5b",
    "ZhipuAI/CogVideoX-5b",
    "11.1 GB",
    COGVIDEOX_LICENCE,
)
BASE_I2V = Source(
    "CogVideoX-5B-I2V, the image-to-video base",
    "transformer/",
    "zai-org/CogVideoX-5b-I2V",
    "ZhipuAI/CogVideoX-5b-I2V",
    "11.3 GB",
    COGVIDEOX_LICENCE,
)
VAE = Source(
    "the video VAE, for frames and for the flow picture",
    "vae/",
    "zai-org/CogVideoX-5b",
    "ZhipuAI/CogVideoX-5b",
    "431 MB",
    COGVIDEOX_LICENCE,
)
TEXT_ENCODER = Source(
    "the T5-XXL text encoder",
    "text_encoder/ and tokenizer/",
    "zai-org/CogVideoX-5b",
    "ZhipuAI/CogVideoX-5b",
    "9.5 GB",
    "Apache-2.0",
)
EVERYTHING = (TORA_SPLIT, TORA_SAT, TORA_DIFFUSERS, BASE, BASE_I2V, VAE, TEXT_ENCODER)
