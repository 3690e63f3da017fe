"""Checkpoints in the layouts that others publish, tiny and random, written by transformers."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from safetensors.torch import save_file

LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]
SMALL = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 16}
CHAT = (
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}"
)


def text_detector(folder: Path) -> Path:
    """PP-OCRv5's mobile detector."""
    torch.manual_seed(0)
    blocks = [
        [[3, 16, 32, 1, False]],
        [[3, 32, 64, 2, False]],
        [[3, 64, 128, 2, False]],
        [[3, 128, 256, 2, False]],
        [[5, 256, 512, 2, True]],
    ]
    backbone = {
        "model_type": "pp_lcnet_v3",
        "scale": 0.25,
        "divisor": 4,
        "stem_channels": 4,
        "reduction": 1,
        "block_configs": blocks,
        "out_features": ["stage2", "stage3", "stage4", "stage5"],
        "out_indices": [2, 3, 4, 5],
    }
    config = hf.PPOCRV5MobileDetConfig(
        backbone_config=backbone,
        neck_out_channels=16,
        reduction=1,
        layer_list_out_channels=[4, 4, 8, 8],
    )
    hf.PPOCRV5MobileDetForObjectDetection(config).save_pretrained(folder)
    hf.PPOCRV5ServerDetImageProcessor().save_pretrained(folder)
    return folder


def clip(folder: Path, dim: int = 16) -> Path:
    """CLIP."""
    torch.manual_seed(0)
    layers = {**SMALL, "num_hidden_layers": 1}
    text = {**layers, "vocab_size": 54, "max_position_embeddings": 8}
    text |= {"bos_token_id": 52, "eos_token_id": 53}
    vision = {**layers, "image_size": 28, "patch_size": 14}
    config = hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=dim)
    hf.CLIPModel(config).save_pretrained(folder)
    vocabulary = [*LETTERS, *(f"{c}</w>" for c in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    content = {token: index for index, token in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(content))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


def sam3(folder: Path) -> Path:
    """SAM 3 as it is published: the detector within the video model, with the tracker's keys."""
    torch.manual_seed(0)
    words = [*LETTERS, *(f"{c}</w>" for c in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = hf.CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[])
    vit = hf.Sam3ViTConfig(
        **SMALL,
        num_hidden_layers=1,
        image_size=56,
        patch_size=14,
        window_size=2,
        global_attn_indexes=[0],
        pretrain_image_size=28,
    )
    config = hf.Sam3Config(
        vision_config=hf.Sam3VisionConfig(
            backbone_config=vit,
            fpn_hidden_size=32,
            backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        ),
        text_config={
            **SMALL,
            "model_type": "clip_text_model",
            "vocab_size": len(words),
            "projection_dim": 16,
            "num_hidden_layers": 1,
            "max_position_embeddings": 32,
            "bos_token_id": 52,
            "eos_token_id": 53,
            "pad_token_id": 53,
        },
        geometry_encoder_config=hf.Sam3GeometryEncoderConfig(num_layers=1, **SMALL),
        detr_encoder_config=hf.Sam3DETREncoderConfig(num_layers=1, **SMALL),
        detr_decoder_config=hf.Sam3DETRDecoderConfig(num_layers=1, num_queries=8, **SMALL),
        mask_decoder_config=hf.Sam3MaskDecoderConfig(hidden_size=32, num_attention_heads=2),
    )
    state = {f"detector_model.{k}": v for k, v in hf.Sam3Model(config).state_dict().items()}
    state["tracker_model.no_memory_embedding"] = torch.zeros(1)
    state = {key: value.clone() for key, value in state.items()}
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    parts = {"detector_config": config.to_dict()}
    parts["tracker_config"] = hf.Sam3TrackerVideoConfig().to_dict()
    (folder / "config.json").write_text(json.dumps({"model_type": "sam3_video", **parts}))
    pictures = hf.Sam3ImageProcessor(size={"height": 56, "width": 56})
    hf.Sam3Processor(pictures, tokenizer).save_pretrained(folder)
    return folder


def grounding_dino(folder: Path) -> Path:
    """Grounding DINO."""
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "dog", "ball", "red"]
    words += LETTERS + [f"##{c}" for c in LETTERS]
    tokenizer = hf.BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    swin = hf.SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    config = hf.GroundingDinoConfig(
        backbone_config=swin,
        text_config=hf.BertConfig(
            vocab_size=len(words),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
        ),
        num_queries=10,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        d_model=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        max_text_len=32,
    )
    hf.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    pictures = hf.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    hf.GroundingDinoProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


def sam2(folder: Path) -> Path:
    """SAM 2 as it is published: the video model, whose memory is not needed."""
    torch.manual_seed(0)
    hiera = hf.Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 4],
        global_attention_blocks=[3],
    )
    vision = hf.Sam2VisionConfig(
        backbone_config=hiera,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    config = hf.Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
        image_size=64,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=16,
        memory_encoder_hidden_size=32,
        memory_encoder_output_channels=16,
        mask_downsampler_embed_dim=32,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=16,
    )
    hf.Sam2VideoModel(config).save_pretrained(folder)
    pictures = hf.Sam2ImageProcessor(
        size={"height": 64, "width": 64}, mask_size={"height": 16, "width": 16}
    )
    hf.Sam2Processor(pictures).save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    """Qwen's kind, of bytes alone, with a chat template."""
    from tokenizers.pre_tokenizers import ByteLevel

    vocabulary = {token: index for index, token in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = hf.Qwen2Tokenizer(vocab=vocabulary, merges=[])
    tokenizer.add_special_tokens(
        {
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "additional_special_tokens": [
                "<|vision_start|>",
                "<|vision_end|>",
                "<|image_pad|>",
                "<|video_pad|>",
            ],
        }
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def instruct(folder: Path) -> Path:
    """A language model of Qwen's kind."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    config = hf.Qwen2Config(
        **SMALL,
        vocab_size=len(tokenizer),
        num_hidden_layers=1,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    hf.Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def captioner(folder: Path) -> Path:
    """A vision language model of Qwen's kind."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    name = tokenizer.convert_tokens_to_ids
    text = {
        **SMALL,
        "vocab_size": len(tokenizer),
        "num_hidden_layers": 1,
        "num_key_value_heads": 1,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "depth": 1,
        "hidden_size": 32,
        "num_heads": 2,
        "intermediate_size": 16,
        "out_hidden_size": 32,
        "patch_size": 14,
        "window_size": 56,
        "fullatt_block_indexes": [0],
    }
    config = hf.Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=name("<|image_pad|>"),
        video_token_id=name("<|video_pad|>"),
        vision_start_token_id=name("<|vision_start|>"),
        vision_end_token_id=name("<|vision_end|>"),
    )
    hf.Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    pictures = hf.Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=56 * 56)
    hf.Qwen2_5_VLProcessor(
        pictures, tokenizer, hf.Qwen2VLVideoProcessor(), chat_template=CHAT
    ).save_pretrained(folder)
    return folder


def tagger(folder: Path) -> Path:
    """spaCy's pipeline with tags by a list of words, and subjects by another."""
    import spacy

    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("attribute_ruler")
    for word in ("dog", "ball", "woman", "tennis", "grass", "red", "blue", "disc"):
        ruler.add([[{"LOWER": word}]], {"TAG": "NN"})  # type: ignore[attr-defined]
    for word in ("dogs", "women", "balls", "discs"):
        ruler.add([[{"LOWER": word}]], {"TAG": "NNS"})  # type: ignore[attr-defined]
    ruler.add([[{"LOWER": {"IN": ["a", "the"]}}]], {"TAG": "DT"})  # type: ignore[attr-defined]
    pipeline.to_disk(folder)
    return folder
