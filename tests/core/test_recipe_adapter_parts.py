"""What the adapter recipe is made of: drops, motion latents, warm starts, the exported file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import small
import torch
from safetensors.torch import save_file
from torch import Tensor

from tora2.checkpoints import adapter_flow_sigma, load_adapter, save_adapter
from tora2.data.encoded import EncodedBatch
from tora2.data.flow import dense_flow
from tora2.models.adapter import Tora2Adapter
from tora2.models.config import Tora2Config
from tora2.pipeline import Tora2Pipeline
from tora2.training.boards import Boards
from tora2.training.checkpoints import Checkpoints
from tora2.training.distributed import World
from tora2.training.drops import EntityDrops, drop_encoded
from tora2.training.export import export_adapter, fingerprint, whole_state
from tora2.training.optimizer import Optimization, Optimizer
from tora2.training.recipes.adapter.config import MotionSource
from tora2.training.recipes.adapter.motion import drawn_latents, sparse_tracks, tracks_of
from tora2.training.validation import followed
from tora2.training.warm_start import take_appearance, take_motion

EMPTY = torch.full((6, 32), 7.0)


def clips(count: int, entities: int = 2) -> EncodedBatch:
    g = torch.Generator().manual_seed(0)
    n = entities
    return EncodedBatch(
        mean=torch.randn(count, 16, 3, 8, 8, generator=g),
        logvar=None,
        context=torch.randn(count, 6, 32, generator=g),
        words=torch.randn(count, n, 2, 32, generator=g),
        word_mask=torch.ones(count, n, 2, dtype=torch.bool),
        semantic=torch.randn(count, n, 1, 5, 12, generator=g),
        face=torch.randn(count, n, 1, 10, generator=g),
        object=torch.randn(count, n, 1, 14, generator=g),
        is_face=torch.zeros(count, n, 1, dtype=torch.bool),
        picture_mask=torch.ones(count, n, 1, dtype=torch.bool),
        points=torch.rand(count, n, 1, 9, 2, generator=g),
        visible=torch.ones(count, n, 1, 9, dtype=torch.bool),
        track_mask=torch.ones(count, n, 1, dtype=torch.bool),
    )


def dropped(batch: EncodedBatch, drops: EntityDrops, mine: slice, count: int):
    generator = torch.Generator().manual_seed(3)
    return drop_encoded(batch, drops, EMPTY, generator, mine, count)


def test_conditions_are_dropped_as_often_as_is_said() -> None:
    count = 4000
    drops = EntityDrops(entity_references=0.2, entity_trajectories=0.1)
    made, moving = dropped(clips(count), drops, slice(0, count), count)
    share = float((made.context == EMPTY).all(-1).all(-1).float().mean())
    assert share == pytest.approx(0.5, abs=0.03)
    assert float(moving.float().mean()) == pytest.approx(0.67, abs=0.03)
    pictures = float(made.picture_mask.float().mean())
    assert pictures == pytest.approx(0.67 * 0.8, abs=0.03)
    assert float(made.track_mask.float().mean()) == pytest.approx(0.67 * 0.9, abs=0.03)
    words = made.word_mask.any(-1)
    assert float(words.float().mean()) == pytest.approx(1 - 0.33 / 2, abs=0.03)
    assert not bool((made.track_mask.any(-1) & ~moving[:, None]).any())


def test_drops_do_not_depend_on_the_number_of_processes() -> None:
    batch = clips(4)
    whole, moving = dropped(batch, EntityDrops(entity_references=0.5), slice(0, 4), 4)
    for mine in (slice(0, 2), slice(2, 4)):
        # The padding of a process's share is its own.
        part = batch[mine]
        part = replace(part, track_mask=part.track_mask, picture_mask=part.picture_mask)
        share, kept = dropped(part, EntityDrops(entity_references=0.5), mine, 4)
        assert torch.equal(kept, moving[mine])
        for name in ("context", "word_mask", "picture_mask", "track_mask"):
            assert torch.equal(getattr(share, name), getattr(whole, name)[mine]), name


def test_the_flow_picture_is_that_of_the_tracks_that_are_left() -> None:
    pipeline = Tora2Pipeline.from_pretrained("tiny", device="cpu")
    batch = clips(2)
    mask = batch.track_mask.clone()
    mask[0] = False
    mask[1, 1] = False
    batch = replace(batch, track_mask=mask)
    paths = tracks_of(batch, (64, 96))
    assert [len(tracks.entity) for tracks in paths] == [0, 1]
    assert (paths[1].width, paths[1].height) == (96, 64)
    assert paths[1].points[0, 3].tolist() == pytest.approx(
        (batch.points[1, 0, 0, 3] * torch.tensor([96.0, 64.0])).tolist()
    )
    source = MotionSource(sigma=pipeline.info.sigma)
    latents = drawn_latents(paths, source, pipeline.vae)
    assert latents is not None and not bool(latents[0].any())
    torch.testing.assert_close(latents[1:], pipeline.motion_latent(paths[1]))
    assert drawn_latents(paths[:1], source, pipeline.vae) is None
    with torch.autocast("cpu", torch.bfloat16):
        again = drawn_latents(paths, source, pipeline.vae)
    assert again is not None and torch.equal(again, latents)
    low = drawn_latents(paths, source, pipeline.vae.to(torch.bfloat16))
    assert low is not None and low.dtype == torch.float32
    torch.testing.assert_close(low, latents, atol=0.1, rtol=0.1)


def moving_block(frames: int = 6, step: tuple[float, float] = (2.0, 1.0)) -> Tensor:
    """Everything right of the middle moves."""
    flow = torch.zeros(frames, 2, 64, 96)
    flow[1:, 0, :, 48:], flow[1:, 1, :, 48:] = step
    return flow


def test_sparse_points_follow_the_flow_where_it_is() -> None:
    source = MotionSource(source="sparse", points=16, spacing=16, mode="tora")
    counts = set()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        tracks = sparse_tracks(moving_block(), source, generator)
        counts.add(len(tracks.entity))
        assert (tracks.entity == -1).all() and (tracks.width, tracks.height) == (96, 64)
        first = tracks.points[:, 0]
        assert (first[:, 0] >= 48).all() and len(first.unique(dim=0)) == len(first)
        assert ((first - first[0]) % 16 == 0).all()
        limit = torch.tensor([95.0, 63.0])
        wanted = (first[:, None] + torch.arange(6)[:, None] * torch.tensor([2.0, 1.0])).minimum(
            limit
        )
        assert torch.equal(tracks.points, wanted)
    assert max(counts) <= 16 and len(counts) > 3


def test_sparse_points_are_drawn_where_it_is_fast() -> None:
    flow = torch.zeros(3, 2, 64, 64)
    flow[:, 0] = 1.0
    flow[:, 0, :, 32:] = 9.0
    source = MotionSource(source="sparse", points=1, spacing=32)
    fast = 0
    for seed in range(300):
        tracks = sparse_tracks(flow, source, torch.Generator().manual_seed(seed))
        fast += int(tracks.points[0, 0, 0] >= 32)
    assert fast / 300 == pytest.approx(0.9, abs=0.06)


def test_whole_pixels_leave_out_what_is_slower() -> None:
    flow = moving_block(step=(0.4, 1.6))
    for mode, end in (("tora", (0.0, 5.0)), ("subpixel", (2.0, 8.0))):
        source = MotionSource(source="sparse", points=1, spacing=8, mode=mode)  # type: ignore[arg-type]
        tracks = sparse_tracks(flow, source, torch.Generator().manual_seed(2))
        points = tracks.points[tracks.points[:, 0, 1] < 50]
        moved = (points[:, -1] - points[:, 0])[0]
        assert moved.tolist() == pytest.approx(end, abs=1e-4), mode


def test_where_nothing_moves_there_are_no_points() -> None:
    tracks = sparse_tracks(torch.zeros(5, 2, 32, 32), MotionSource(), torch.Generator())
    assert len(tracks.entity) == 0 and tracks.frames == 5


class Shift:
    key = "shift"

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.full((2, *first.shape[1:]), 3.0)


def test_the_flow_of_a_video_gives_points() -> None:
    flow = dense_flow(Shift(), torch.zeros(4, 3, 64, 64, dtype=torch.uint8))
    tracks = sparse_tracks(flow, MotionSource(points=2), torch.Generator().manual_seed(0))
    start = tracks.points[:, 0].amax()
    assert float(tracks.points[0, 1, 0] - tracks.points[0, 0, 0]) == 3.0 and start < 64


def like_tora(**changes: object) -> Tora2Adapter:
    """An adapter with the sizes of the layouts' motion parts, and all other parts."""
    torch.manual_seed(5)
    sizes = {"dim": 128, "layers": 3, "feature_dim": 32, "extractor_blocks": 2}
    return Tora2Adapter(Tora2Config.preset("tiny", **{**sizes, **changes}))


def test_every_layout_of_toras_parts_is_a_beginning(layouts) -> None:
    theirs = layouts.adapter.state_dict()
    for name, path in layouts.adapters.items():
        adapter = like_tora()
        before = {n: t.clone() for n, t in adapter.state_dict().items()}
        taken = take_motion(adapter, path)
        state = adapter.state_dict()
        assert set(taken.tensors) == set(theirs), name
        for key, tensor in state.items():
            expected = theirs.get(key, before[key])
            assert torch.equal(tensor, expected), (name, key)


def test_motion_parts_of_another_size_are_refused(layouts) -> None:
    path = layouts.adapters["Kijai folder"]
    with pytest.raises(ValueError, match="motion parts of layers 3, expected 4"):
        take_motion(like_tora(layers=4), path)


def test_an_adapter_of_ours_is_a_beginning_for_all_of_its_parts(tmp_path: Path) -> None:
    first, second = small.adapter(), small.adapter(awake=False, contrastive_dim=16)
    save_adapter(first, tmp_path / "a.safetensors")
    taken = take_motion(second, tmp_path / "a.safetensors")
    assert "binder.gate_p" in taken.tensors and "contrastive_p.weight" not in taken.tensors
    assert "2 tensors have another shape" in taken.words()


def consisid(folder: Path, face: int = 10, layers: int = 3) -> dict[str, Tensor]:
    """ConsisID's parts of the sizes of the small adapter, with their publisher's names."""
    torch.manual_seed(9)
    dim, inner, context, queries = 32, 32, 24, 4
    tensors = {"patch_embed.proj.weight": torch.rand(2, 2)}
    for n in range(2):
        root = f"perceiver_cross_attention.{n}."
        for norm, width in (("norm1", context), ("norm2", small.DIM)):
            tensors[f"{root}{norm}.weight"] = torch.rand(width)
            tensors[f"{root}{norm}.bias"] = torch.rand(width)
        tensors[f"{root}to_q.weight"] = torch.rand(inner, small.DIM)
        tensors[f"{root}to_kv.weight"] = torch.rand(2 * inner, context)
        tensors[f"{root}to_out.weight"] = torch.rand(small.DIM, inner)
    root = "local_facial_extractor."
    tensors[f"{root}latents"] = torch.rand(1, queries, dim)
    tensors[f"{root}proj_out"] = torch.rand(dim, context)
    for n in range(layers):
        for name in ("0.norm1", "0.norm2", "1.0"):
            tensors[f"{root}layers.{n}.{name}.weight"] = torch.rand(dim)
            tensors[f"{root}layers.{n}.{name}.bias"] = torch.rand(dim)
        for name, rows, columns in (
            ("0.to_q", dim, dim),
            ("0.to_kv", 2 * dim, dim),
            ("0.to_out", dim, dim),
            ("1.1", 4 * dim, dim),
            ("1.3", dim, 4 * dim),
        ):
            tensors[f"{root}layers.{n}.{name}.weight"] = torch.rand(rows, columns)
    for place, (rows, columns) in {"0": (dim, face), "3": (dim, dim), "6": (2 * dim, dim)}.items():
        tensors[f"{root}id_embedding_mapping.{place}.weight"] = torch.rand(rows, columns)
        tensors[f"{root}id_embedding_mapping.{place}.bias"] = torch.rand(rows)
    for place in ("1", "4"):
        tensors[f"{root}id_embedding_mapping.{place}.weight"] = torch.rand(dim)
        tensors[f"{root}id_embedding_mapping.{place}.bias"] = torch.rand(dim)
    (folder / "transformer").mkdir(parents=True)
    save_file(tensors, folder / "transformer" / "diffusion_pytorch_model.safetensors")
    config = {"_class_name": "ConsisIDTransformer3DModel", "cross_attn_interval": 2}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    return tensors


def test_consisids_parts_are_a_beginning_where_they_fit(tmp_path: Path) -> None:
    theirs = consisid(tmp_path / "consisid")
    adapter = small.adapter(awake=False, layers=4, attention_interval=1)
    before = adapter.state_dict()["cross_attention.1.to_q.weight"].clone()
    taken = take_appearance(adapter, tmp_path / "consisid")
    ours = adapter.state_dict()
    root = "perceiver_cross_attention.1."
    for name in ("norm1.weight", "norm2.bias", "to_q.weight", "to_kv.weight", "to_out.weight"):
        assert torch.equal(ours[f"cross_attention.2.{name}"], theirs[root + name])
    assert torch.equal(ours["cross_attention.1.to_q.weight"], before)
    root = "local_facial_extractor."
    for name, place in (
        ("0.norm1", "norm_context"),
        ("0.norm2", "norm_query"),
        ("1.3", "feed_forward.3"),
    ):
        mine = ours[f"personalization.layers.1.{place}.weight"]
        assert torch.equal(mine, theirs[f"{root}layers.1.{name}.weight"])
    assert torch.equal(ours["personalization.queries"], theirs[root + "latents"][0])
    assert torch.equal(ours["to_context.weight"], theirs[root + "proj_out"].T)
    assert not bool(ours["to_context.bias"].any())
    assert torch.equal(
        ours["personalization.face_adapter.layers.6.bias"],
        theirs[root + "id_embedding_mapping.6.bias"],
    )
    assert "11 tensors have no place here" in taken.words()  # of the third layer


def test_a_face_adapter_of_another_vector_is_left_whole(tmp_path: Path) -> None:
    consisid(tmp_path / "consisid", face=11)
    adapter = small.adapter(awake=False)
    taken = take_appearance(adapter, tmp_path / "consisid")
    assert not any("face_adapter" in name for name in taken.tensors)
    assert "face adapter reads 11 channels" in taken.words()


def test_what_is_not_consisids_is_refused(layouts) -> None:
    with pytest.raises(ValueError, match="holds nothing of ConsisID's"):
        take_appearance(small.adapter(), layouts.transformers["CogVideoX diffusers"])


def test_the_exported_file_says_how_it_was_made(tmp_path: Path) -> None:
    adapter = small.adapter()
    path = tmp_path / "a.safetensors"
    state = whole_state(adapter)
    export_adapter(adapter, state, path, torch.bfloat16, {"seed": 3}, "abc", 7.5)
    again = load_adapter(path)
    assert again.dtype == torch.bfloat16 and adapter_flow_sigma(path) == 7.5
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor.float(), state[name].to(tensor.dtype).float())
    state["binder.gate_p"] = torch.tensor(1e6)
    with pytest.raises(ValueError, match="binder.gate_p is not finite as float16"):
        export_adapter(adapter, state, path, torch.float16, {}, "abc", 7.5)


def test_the_pipeline_draws_tracks_as_its_adapter_was_trained(tmp_path: Path) -> None:
    bundled = Tora2Pipeline.from_pretrained("tiny", device="cpu")
    path = tmp_path / "a.safetensors"
    adapter = bundled.adapter
    save_adapter(adapter, path)
    assert adapter_flow_sigma(path) is None
    assert Tora2Pipeline.from_pretrained("tiny", adapter=path).info.sigma == bundled.info.sigma
    export_adapter(adapter, whole_state(adapter), path, torch.float32, {}, "abc", 3.5)
    assert Tora2Pipeline.from_pretrained("tiny", adapter=path).info.sigma == 3.5


def test_a_radius_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for text in ("wide", "nan", "-1", "9" * 10_000):
        save_adapter(small.adapter(), path, {"tora2_flow_sigma": text})
        with pytest.raises(
            ValueError, match="tora2_flow_sigma.*expected a number from 0.1 to 1000"
        ):
            adapter_flow_sigma(path)


def test_the_datas_name_changes_with_the_clips() -> None:
    made = {"frames": 49}
    assert fingerprint(["a", "b"], made) == fingerprint(["b", "a"], made)
    assert len({fingerprint(["a"], made), fingerprint(["b"], made), fingerprint(["a"], {})}) == 3


def test_boards_write_what_is_finite(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    boards = Boards(tmp_path, True, None, {})
    boards.write(1, {"loss": 1.0, "matching": float("nan")})
    boards.close()
    [events] = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"loss" in content and b"matching" not in content


@pytest.mark.parametrize(("key", "package"), [("tensorboard", "tensorboard"), ("wandb", "wandb")])
def test_boards_that_are_not_installed_say_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, package: str
) -> None:
    import sys

    for name in ("tensorboard", "torch.utils.tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=f"'{key}' needs.*pip install {package}"):
        Boards(tmp_path, key == "tensorboard", "p" if key == "wandb" else None, {})


def test_colours_are_followed_entity_by_entity() -> None:
    frames = torch.full((2, 32, 32, 3), 0.5)
    frames[:, 4:10, 4:10] = torch.tensor([1.0, 0, 0])
    frames[:, 20:26, 12:18] = torch.tensor([0, 0, 1.0])
    [tracks] = tracks_of(replace(clips(1, 3)), (32, 32))
    two = {name: getattr(tracks, name)[:, :2] for name in ("points", "visible", "scale")}
    tracks = replace(tracks, frames=2, **two)
    found = followed(frames, tracks, [2 / 3, None, 0.0])
    assert found[0, 0].tolist() == [15, 23] and found[2, 1].tolist() == [7, 7]
    assert bool(found[1].isnan().all())


def eight_bit(folder: Path) -> tuple[torch.nn.Linear, Optimizer, Checkpoints]:
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 128)
    settings = Optimization(moments="8bit", warmup=0)
    world = World(torch.device("cpu"))
    return layer, Optimizer(dict(layer.named_parameters()), settings), Checkpoints(folder, world)


def advance(layer: torch.nn.Linear, optimizer: Optimizer, steps: range) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        optimizer.zero_grad()
        layer(torch.randn(8, 64, generator=generator)).square().mean().backward()
        optimizer.step(step)


def test_eight_bit_moments_are_kept_in_checkpoints(tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    layer, optimizer, checkpoints = eight_bit(tmp_path)
    advance(layer, optimizer, range(3))
    state = {"weight": layer.weight.data, "bias": layer.bias.data, **optimizer.state()}
    assert state["exp_avg.codes/weight"].dtype == torch.uint8
    checkpoints.save(3, state)
    advance(layer, optimizer, range(3, 5))
    again, other, checkpoints = eight_bit(tmp_path)
    names = checkpoints.names()
    assert names is not None
    other.prepare(names)
    values = {"weight": again.weight.data, "bias": again.bias.data, **other.state()}
    assert checkpoints.load(values) == 3
    advance(again, other, range(3, 5))
    assert torch.equal(layer.weight, again.weight) and torch.equal(layer.bias, again.bias)


def test_eight_bit_moments_say_what_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in ("torchao", "torchao.optim"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match="'8bit', which needs torchao: pip install torchao"):
        eight_bit(tmp_path)
