"""Model folders from anywhere: no code of theirs runs, no path leads out, damage is one sentence.

One copy of the bundled model is damaged in one place at a time and mended again.
"""

import builtins
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import small
import torch

from tora2.model_folder import TINY
from tora2.model_folder.libraries import load_autoencoder, load_text_encoder
from tora2.pipeline import Tora2Pipeline

CONFIGS = (
    "model_index.json",
    "vae/config.json",
    "image_encoder/config.json",
    "text_encoder/config.json",
    "transformer/config.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/tokenizer.json",
)
WEIGHTS = (
    "vae/model.safetensors",
    "image_encoder/model.safetensors",
    "text_encoder/model.safetensors",
    "transformer/diffusion_pytorch_model.safetensors",
    "adapter.safetensors",
)
SIZES = {
    "model_index.json": ("width", "height", "frames", "fps", "text_tokens", "sigma"),
    "vae/config.json": ("latent_channels", "width", "layers", "pixel_channels", "scaling_factor"),
    "image_encoder/config.json": ("picture", "dim"),
    "text_encoder/config.json": (
        "vocab_size",
        "d_model",
        "d_kv",
        "d_ff",
        "num_layers",
        "num_heads",
        "relative_attention_num_buckets",
    ),
}


@dataclass(frozen=True)
class Damage:
    """New bytes of one file (None removes it, or the folder), and what the sentence must name."""

    name: str
    file: str
    content: bytes | None
    says: str = ""


def values(file: str) -> dict[str, Any]:
    return json.loads((TINY / file).read_text())


def changed(file: str, key: str, value: object) -> bytes:
    return json.dumps({**values(file), key: value}).encode()


def not_json() -> Iterator[Damage]:
    texts = {
        "empty": b"",
        "list": b"[1]",
        "null": b"null",
        "cut off": b'{"width": 96, ',
        "not text": b"\xff\xfe{}",
        "deep": b'{"a":' * 100_000,
        "twice": b'{"fps": 8, "fps": 8}',
        "long": b"{" + b" " * (16 << 20) + b"}",
    }
    for file in CONFIGS:
        for name, text in texts.items():
            yield Damage(name, file, text, file)
        if file != "transformer/config.json":  # its tensors tell enough
            yield Damage("gone", file, None, file.split("/")[0])


def sizes() -> Iterator[Damage]:
    for file, keys in SIZES.items():
        for key in keys:
            for value in (-1, 0, 1_000_000_000, 10**400, "96", None, [4], {"a": 1}, True):
                yield Damage(f"{key} {str(value)[:12]}", file, changed(file, key, value), key)
    yield Damage("a million layers", CONFIGS[1], changed(CONFIGS[1], "layers", 1_000_000), "layers")
    for key, value in (
        ("words", "star"),
        ("words", [1]),
        ("parts", {}),
        ("parts", {"vae": "Other", "encoder": None}),
        ("parts", {"vae": ["PatchAutoencoder"], "encoder": "TinyEncoder"}),
        ("fixed", 1),
        ("frames", 18),
        ("width", 97),
        ("version", 2),
        ("_class_name", "StableDiffusionPipeline"),
        ("_class_name", ["CogVideoXPipeline"]),
        ("unknown", 1),
    ):
        yield Damage(f"{key} {value}", CONFIGS[0], changed(CONFIGS[0], key, value))


def code() -> Iterator[Damage]:
    for file in CONFIGS:
        for target in ("evil.Evil", {"AutoTokenizer": ["evil.Evil", None]}):
            yield Damage("auto_map", file, changed(file, "auto_map", target), "auto_map")
    file = "tokenizer/tokenizer_config.json"
    for key, value in (
        ("tokenizer_file", "../../outside.json"),
        ("vocab_file", "/etc/passwd"),
        ("fast_tokenizer_files", ["tokenizer.9.0.json"]),
        ("init_inputs", ["/etc/passwd"]),
        ("sp_model_kwargs", {"model_file": "/etc/passwd"}),
        ("tokenizer_class", "Evil"),
        ("tokenizer_class", None),
        ("tokenizer_class", ["T5Tokenizer"]),
        ("extra_ids", 1_000_000_000),
    ):
        yield Damage(f"{key} {value}", file, changed(file, key, value), key)
    for key, value in (
        ("model_type", "bert"),
        ("model_type", None),
        ("quantization_config", {"quant_method": "bitsandbytes"}),
        ("feed_forward_proj", "evil"),
    ):
        yield Damage(f"{key} {value}", CONFIGS[3], changed(CONFIGS[3], key, value), key)


def shards() -> Iterator[Damage]:
    for part, stem in (
        ("text_encoder", "model"),
        ("vae", "diffusion_pytorch_model"),
        ("transformer", "diffusion_pytorch_model"),
    ):
        file = f"{part}/{stem}.safetensors.index.json"
        for name in ("../../outside.safetensors", "/etc/passwd", ".hidden", ["x"], 3, None, "a\\b"):
            table = {"weight_map": {"shared.weight": name}}
            yield Damage(
                f"shard {name}", file, json.dumps(table).encode(), "expected a file beside"
            )
        for table in ({}, {"weight_map": []}, {"weight_map": {}}):
            yield Damage(f"table {table}", file, json.dumps(table).encode(), "weight_map")
        if part != "vae":
            missing = {"weight_map": {"shared.weight": "absent.safetensors"}}
            yield Damage("shard not there", file, json.dumps(missing).encode(), "absent")


def weights() -> Iterator[Damage]:
    for file in WEIGHTS:
        whole = (TINY / file).read_bytes()
        yield Damage("empty", file, b"", file)
        yield Damage("garbage", file, b"{garbage" * 100, file)
        yield Damage("cut off", file, whole[: len(whole) // 2], file)
        yield Damage("header alone", file, whole[:200], file)
        yield Damage("huge header", file, (10**15).to_bytes(8, "little") + b"{", file)
        yield Damage("gone", file, None, file.split("/")[0])
        other = WEIGHTS[WEIGHTS.index(file) - 1]
        yield Damage("another's", file, (TINY / other).read_bytes(), file.split("/")[0])
    for part in ("vae", "image_encoder", "text_encoder", "transformer", "tokenizer"):
        yield Damage("folder gone", part, None, part)


def tokenizers() -> Iterator[Damage]:
    file = "tokenizer/tokenizer.json"
    good = values(file)
    for name, change in {
        "no model": {"model": None},
        "unknown model": {"model": {"type": "Evil"}},
        "tokens beyond": {"model": {**good["model"], "vocab": {"<unk>": 2, "a": 4_000_000}}},
        "vocabulary of text": {"model": {**good["model"], "vocab": {"a": "b"}}},
        "no vocabulary": {"model": {**good["model"], "vocab": {}}},
        "bad pattern": {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}}},
        "bad added": {"added_tokens": [{"id": -1, "content": 3}]},
        "bad processor": {"post_processor": {"type": "TemplateProcessing", "single": 3}},
        "bad charsmap": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
    }.items():
        yield Damage(name, file, json.dumps({**good, **change}).encode(), "tokenizer")


DAMAGES = [*not_json(), *sizes(), *code(), *shards(), *weights(), *tokenizers()]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    folder = shutil.copytree(TINY, root / "model")
    marker = f"open({str(root / 'ran')!r}, 'w').close()\nclass Evil: pass\n"
    for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
        (place / "evil.py").write_text(marker)
    shutil.copy(folder / "text_encoder/model.safetensors", root / "outside.safetensors")
    return folder


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("a question was asked")

    monkeypatch.setattr(builtins, "input", asked)


def test_there_are_enough() -> None:
    assert len(DAMAGES) > 250


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: f"{d.file}: {d.name}"[:60])
def test_damage_is_one_sentence(copy: Path, damage: Damage) -> None:
    place, kept = copy / damage.file, copy.parent / "kept"
    if place.exists():
        place.rename(kept)
    try:
        if damage.content is not None:
            place.write_bytes(damage.content)
        with pytest.raises(ValueError) as caught:
            Tora2Pipeline.from_pretrained(copy, device="cpu")
    finally:
        place.unlink(missing_ok=True)
        if kept.exists():
            kept.rename(place)
    sentence = str(caught.value)
    assert str(copy) in sentence and damage.says in sentence
    assert sentence.isprintable() and len(sentence) < 1000
    assert not (copy.parent / "ran").exists()


def test_the_copy_is_still_whole(copy: Path) -> None:
    """So that each refusal above was for its own damage."""
    made, bundled = (Tora2Pipeline.from_pretrained(path, device="cpu") for path in (copy, "tiny"))
    assert torch.equal(made.encode_text("a star on sand"), bundled.encode_text("a star on sand"))


def test_parts_of_other_models_do_not_fit(copy: Path, tmp_path: Path) -> None:
    from tora2.checkpoints import save_adapter
    from tora2.models.adapter import Tora2Adapter, Tora2Config

    narrow = Tora2Adapter(Tora2Config.preset("tiny", dim=64, layers=3))
    save_adapter(narrow, tmp_path / "narrow.safetensors")
    with pytest.raises(ValueError, match="made for 3 blocks of 64 channels but .* 6 blocks of 192"):
        Tora2Pipeline.from_pretrained(copy, adapter=tmp_path / "narrow.safetensors")
    deaf = Tora2Adapter(Tora2Config.preset("tiny", word_dim=32))
    save_adapter(deaf, tmp_path / "deaf.safetensors")
    with pytest.raises(ValueError, match="reads words of 32 channels, expected .* 128"):
        Tora2Pipeline.from_pretrained(copy, adapter=tmp_path / "deaf.safetensors")


def test_the_parts_are_those_of_their_libraries(tmp_path: Path) -> None:
    """Also in shards, and with names that a library ignores."""
    from diffusers import AutoencoderKLCogVideoX
    from safetensors.torch import load_file, save_file
    from transformers import T5EncoderModel

    folder = small.cogvideox_folder(tmp_path)
    vae = load_autoencoder(folder / "vae", torch.float32)
    theirs: Any = AutoencoderKLCogVideoX.from_pretrained(folder / "vae")
    assert not vae.training and vae.config.scaling_factor == theirs.config.scaling_factor
    assert all(torch.equal(x, theirs.state_dict()[n]) for n, x in vae.state_dict().items())
    encoder = T5EncoderModel.from_pretrained(folder / "text_encoder")
    shutil.rmtree(folder / "text_encoder")
    encoder.save_pretrained(folder / "text_encoder", max_shard_size="200KB")
    index = next((folder / "text_encoder").glob("*.index.json"))
    table = json.loads(index.read_text())
    first = index.parent / sorted(set(table["weight_map"].values()))[0]
    save_file({**load_file(first), "decoder.x": torch.zeros(1)}, first)
    mine = load_text_encoder(folder / "text_encoder", torch.float32)
    ids = torch.tensor([[3, 7, 9, 1, 0]])
    with torch.no_grad():
        assert torch.allclose(mine(ids)[0], encoder.float()(ids)[0], atol=1e-6)
    assert mine.encoder.embed_tokens.weight is mine.shared.weight
    assert not any(p.is_meta for p in mine.parameters()) and mine.dtype == torch.float32
