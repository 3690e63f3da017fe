"""Text-S, Vid-S, Subj-S, Face-S and Dync-D: the public evaluators' numbers, and worked-out cases.

MSRVTT-Personalization's own numbers of CLIP are recorded, those of others in
`test_evaluation_subjects.py`.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import small_evaluators as small
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from tora2.evaluation.clip import Clip, cleaned, reference_frames
from tora2.evaluation.metrics.dynamic_degree import is_dynamic
from tora2.evaluation.metrics.subject_similarity import best_boxes, subject_similarity, tag_scores
from tora2.evaluation.metrics.text_similarity import text_similarity
from tora2.evaluation.metrics.video_similarity import video_similarity

LENGTH = 8
FILE = Path(__file__).parents[1] / "fixtures" / "msrvtt_evaluators.json"
RECORDED = json.loads(FILE.read_text())["clip"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    small = {
        "hidden_size": 32,
        "intermediate_size": 37,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    vocabulary = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    text = {
        **small,
        "vocab_size": len(vocabulary),
        "max_position_embeddings": LENGTH,
        "bos_token_id": 52,
        "eos_token_id": 53,
    }
    vision = {**small, "image_size": 30, "patch_size": 6}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    model.save_pretrained(result)
    content = json.dumps({token: index for index, token in enumerate(vocabulary)})
    (result / "vocab.json").write_text(content)
    (result / "merges.txt").write_text("#version: 0.2\n")
    return result


@pytest.fixture(scope="module")
def clip(folder: Path) -> Clip:
    return Clip.from_folder(folder)


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(5, 3, 6, 9, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (60, 90), mode="bilinear")
    return (fine * 255).byte().movedim(1, -1)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """The networks of which MSRVTT-Personalization's numbers are recorded."""
    folder = tmp_path_factory.mktemp("theirs")
    small.write_words(folder)
    small.clip().save_pretrained(folder)
    return Clip.from_folder(folder)


def test_text_s_is_the_evaluators(theirs: Clip) -> None:
    video = theirs.frames(small.video())
    for caption, tokens, expected in zip(
        small.CAPTIONS, RECORDED["tokens"], RECORDED["text"], strict=True
    ):
        read = theirs.tokenizer(cleaned(caption), truncation=True, max_length=77)
        assert read["input_ids"] == tokens
        assert text_similarity(theirs.text(caption), video) == pytest.approx(expected, abs=1e-6)


def test_vid_s_is_the_evaluators(theirs: Clip) -> None:
    video, real = small.video(), small.real_video()
    found = video_similarity(theirs.frames(video), theirs.frames(real))
    assert found == pytest.approx(RECORDED["video"], abs=1e-6)
    for seen, (mean, std) in zip(theirs.pixels(video), RECORDED["pixels"], strict=True):
        assert float(seen.mean()) == pytest.approx(mean, abs=1e-6)
        assert float(seen.std()) == pytest.approx(std, abs=1e-6)


def test_text_s_is_transformers_own(folder: Path, clip: Clip, frames: torch.Tensor) -> None:
    model, tokenizer = CLIPModel.from_pretrained(folder), CLIPTokenizer.from_pretrained(folder)
    for caption in ("ab", "a dog and a ball on the grass of a meadow"):
        inputs = tokenizer([caption], truncation=True, max_length=LENGTH, return_tensors="pt")
        with torch.no_grad():
            out = model.eval()(**inputs, pixel_values=clip.pixels(frames))
        expected = (out.text_embeds @ out.image_embeds.T).mean()
        found = text_similarity(clip.text(caption), clip.frames(frames))
        assert found == pytest.approx(float(expected), abs=1e-5)


def test_pixels_are_those_of_clips_own_processor(clip: Clip, frames: torch.Tensor) -> None:
    processor = CLIPImageProcessor(
        size={"shortest_edge": 30}, crop_size={"height": 30, "width": 30}
    )
    pictures = [Image.fromarray(frame.numpy()[:, 15:75]) for frame in frames]
    expected = processor(pictures, return_tensors="pt")["pixel_values"]
    assert (clip.pixels(frames) - torch.as_tensor(np.asarray(expected))).abs().max() < 0.02


def test_vid_s_is_the_mean_over_all_pairs(clip: Clip, frames: torch.Tensor) -> None:
    video, references = clip.frames(frames), clip.frames(reference_frames(frames))
    cosines = [
        float(torch.nn.functional.cosine_similarity(one, other, dim=0))
        for one in video
        for other in references
    ]
    assert video_similarity(video, references) == pytest.approx(sum(cosines) / 15, abs=1e-6)
    assert video_similarity(video[:1], video[:1]) == pytest.approx(1)
    assert torch.equal(reference_frames(torch.arange(101)), torch.tensor([5, 50, 95]))


def test_other_folders_of_clip_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no config.json, expected a folder of CLIP"):
        Clip.from_folder(tmp_path)
    for name in ("vocab.json", "merges.txt", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ValueError, match="cannot be loaded"):
        Clip.from_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 16)
    with pytest.raises(ValueError, match="CLIP"):
        Clip.from_folder(tmp_path)


@pytest.mark.parametrize("shapes", [((4,), (0, 4)), ((4,), (2, 5)), ((1, 4), (2, 4))])
def test_text_s_refuses_other_shapes(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="expected"):
        text_similarity(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


@pytest.mark.parametrize("shapes", [((0, 4), (1, 4)), ((1, 4), (0, 4)), ((1, 4), (1, 3))])
def test_vid_s_refuses_other_shapes(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="expected"):
        video_similarity(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


EAST, NORTH = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 3.0])
BETWEEN = torch.tensor([1.0, 1.0])


def test_a_missing_subject_counts_zero() -> None:
    references = {"dog": EAST[None], "cat": NORTH[None]}
    found = [{"dog": EAST, "cat": NORTH}, {"dog": EAST}, {}]
    assert subject_similarity(found, references) == pytest.approx(3 / 6)
    face = {"face": EAST[None]}
    assert subject_similarity([{"face": EAST}, {}], face) == pytest.approx(0.5)


def test_several_references_are_averaged() -> None:
    references = {"dog": torch.stack([EAST, NORTH])}
    assert subject_similarity([{"dog": EAST}], references) == pytest.approx(0.5)
    assert subject_similarity([{"dog": BETWEEN}], references) == pytest.approx(0.5**0.5)


def test_a_tag_of_several_tokens_has_half_of_highest_and_mean() -> None:
    tokens = torch.tensor([[0.9, 0.1, 0.6], [0.2, 0.2, 0.7]])
    scores = tag_scores(tokens, [(0, 1), (2,)])
    assert torch.allclose(scores, torch.tensor([[0.7, 0.6], [0.2, 0.7]]))
    assert best_boxes(scores) == [0, 1]
    assert best_boxes(torch.tensor([[0.5, 0.6], [0.45, 0.3], [0.42, 0.1]])) == [1, 0]
    assert best_boxes(torch.tensor([[0.4, 0.3]])) == [None, None]
    assert best_boxes(torch.zeros(0, 2)) == [None, None]


@pytest.mark.parametrize(
    ("found", "references"),
    [([], {"a": EAST[None]}), ([{}], {}), ([{}], {"a": torch.zeros(0, 2)}), ([{}], {"a": EAST})],
)
def test_subj_s_refuses_nothing(
    found: list[dict[str, torch.Tensor]], references: dict[str, torch.Tensor]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        subject_similarity(found, references)


def test_dync_d_counts_frames_with_strong_motion() -> None:
    still = torch.zeros(8, 2, 64, 128)
    assert not is_dynamic(still)
    for moving, speed, expected in ((2, 1.6, True), (1, 9, False), (8, 1.4, False)):
        flows = still.clone()
        flows[:moving, 0, :8] = speed  # an eighth of the frame; 6 * 64 / 256 is 1.5
        assert is_dynamic(flows) == expected
    few = still.clone()
    few[:, 1, :1, :10] = 9  # ten pixels of 8192: the mean of the strongest 409 is small
    assert not is_dynamic(few)
    with pytest.raises(ValueError, match="expected"):
        is_dynamic(torch.zeros(0, 2, 4, 4))
