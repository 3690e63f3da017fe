"""Where the published weights are, what each enables, its size, its licence and its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BUNDLED = Path(__file__).parents[1] / "assets" / "tiny"

NO_TORA2 = (
    "No Tora2 weights were ever published by its authors: appearance and binding come from an "
    "adapter trained with `python -m tora2 train`, or from the bundled tiny model."
)
COGVIDEOX_LICENCE = "CogVideoX License"
COGVIDEOX_TERMS = (
    "The CogVideoX License is free for research; commercial use needs registration, at most a "
    "million visits a month."
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
        comfy: where it goes in ComfyUI's folders, or why it does not.
        to_library: where it goes for the library; empty where the library does not read it.
    """

    what: str
    file: str
    huggingface: str
    modelscope: str
    size: str
    licence: str
    comfy: str = ""
    to_library: str = ""

    def __str__(self) -> str:
        hubs = (("Hugging Face", self.huggingface), ("ModelScope", self.modelscope))
        places = ", ".join(f"{hub} {name}" for hub, name in hubs if name)
        return f"{self.what}: {places}: {self.file} ({self.size}; {self.licence})"


def terms(given: Iterable[Source]) -> tuple[str, ...]:
    """What the licences among some sources ask for, a sentence each."""
    return (COGVIDEOX_TERMS,) if any(COGVIDEOX_LICENCE in one.licence for one in given) else ()


_TORA = "Alibaba-Research-Intelligence-Computing/Tora"
_PIPELINE = "the whole repository in one folder, given as the model"

TORA_SPLIT = Source(
    "Tora's motion parts for a CogVideoX-5B that is already there (trajectory control)",
    "fuser/fuser.safetensors and traj_extractor/traj_extractor.safetensors (…_I2V for I2V)",
    "Kijai/CogVideoX-5b-Tora",
    "",
    "1.34 GB and 50 MB",
    f"{COGVIDEOX_LICENCE}; its card says Apache-2.0",
    "tora2/, the two folders side by side",
    "the fuser, given as the adapter, the other folder beside its own",
)
TORA_SAT = Source(
    "Tora whole, text-to-video and image-to-video, as its authors published it (SAT)",
    "tora/t2v/mp_rank_00_model_states.pt, tora/i2v/mp_rank_00_model_states.pt",
    _TORA,
    "xiaoche/Tora",
    "22.5 GB for text-to-video, 22.6 GB for image-to-video",
    COGVIDEOX_LICENCE,
    "diffusion_models/, and a link to it in tora2/",
    "the file, given as the adapter",
)
TORA_DIFFUSERS = Source(
    "Tora whole, text-to-video, for diffusers",
    "transformer/, vae/, text_encoder/, tokenizer/",
    f"{_TORA}_T2V_diffusers",
    "Alibaba_Research_Intelligence_Computing/Tora_T2V_diffusers",
    "32.4 GB",
    COGVIDEOX_LICENCE,
    "its transformer folder in diffusion_models/, and a link to it in tora2/",
    _PIPELINE,
)
TORA_TRANSFORMER = Source(
    "Tora's own text-to-video transformer without the motion parts",
    "transformer/diffusion_pytorch_model.safetensors",
    "Kijai/CogVideoX-5b-Tora",
    "",
    "11.1 GB",
    f"{COGVIDEOX_LICENCE}; its card says Apache-2.0",
    "diffusion_models/",
    "the transformer of a CogVideoX-5b folder",
)
TORA_TRANSFORMER_I2V = Source(
    "Tora's own image-to-video transformer without the motion parts, as one file",
    "CogVideoX_1_0_5b_I2V_Tora_bf16.safetensors",
    "Kijai/CogVideoX-comfy",
    "",
    "11.3 GB",
    f"{COGVIDEOX_LICENCE}; its card names none",
    "diffusion_models/",
    "the transformer of a CogVideoX-5b-I2V folder",
)
BASE = Source(
    "CogVideoX-5B, the frozen text-to-video base (plain text-to-video)",
    "transformer/",
    "zai-org/CogVideoX-5b",
    "ZhipuAI/CogVideoX-5b",
    "11.1 GB",
    COGVIDEOX_LICENCE,
    "diffusion_models/, as a folder",
    _PIPELINE,
)
BASE_I2V = Source(
    "CogVideoX-5B-I2V, the image-to-video base",
    "transformer/",
    "zai-org/CogVideoX-5b-I2V",
    "ZhipuAI/CogVideoX-5b-I2V",
    "11.3 GB",
    COGVIDEOX_LICENCE,
    "diffusion_models/, as a folder",
    _PIPELINE,
)
VAE = Source(
    "the video VAE, for frames and for the flow picture",
    "vae/diffusion_pytorch_model.safetensors",
    "zai-org/CogVideoX-5b",
    "ZhipuAI/CogVideoX-5b",
    "862 MB (float32)",
    COGVIDEOX_LICENCE,
    "vae/, under a name of your own",
    _PIPELINE,
)
VAE_FILE = Source(
    "the video VAE as one file, for ComfyUI's Load VAE",
    "cogvideox_vae_bf16.safetensors",
    "Kijai/CogVideoX-comfy",
    "",
    "431 MB",
    f"{COGVIDEOX_LICENCE}; its card names none",
    "vae/",
)
TEXT_ENCODER = Source(
    "the T5-XXL text encoder in two shards, for the library",
    "text_encoder/ and tokenizer/",
    "zai-org/CogVideoX-5b",
    "ZhipuAI/CogVideoX-5b",
    "9.5 GB",
    "Apache-2.0",
    "not for ComfyUI, which reads one file",
    _PIPELINE,
)
TEXT_ENCODER_FILE = Source(
    "the T5-XXL text encoder as one file, for ComfyUI's Load CLIP with the type cogvideox; Flux, "
    "SD3 and others use the same",
    "t5xxl_fp16.safetensors, or t5xxl_fp8_e4m3fn.safetensors, or …_scaled.safetensors",
    "comfyanonymous/flux_text_encoders",
    "AI-ModelScope/flux_text_encoders",
    "9.79 GB, 4.89 GB or 5.16 GB",
    "Apache-2.0",
    "text_encoders/",
)
EVERYTHING = (
    TORA_SPLIT,
    TORA_SAT,
    TORA_DIFFUSERS,
    TORA_TRANSFORMER,
    TORA_TRANSFORMER_I2V,
    BASE,
    BASE_I2V,
    VAE,
    VAE_FILE,
    TEXT_ENCODER,
    TEXT_ENCODER_FILE,
)
