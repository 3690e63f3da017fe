"""Mask R-CNN's box head from a state dict with torchvision's names and shapes."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tora2.encoders.object import MaskRcnnEncoder, load_mask_rcnn

torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A file as torchvision publishes it; random weights, the small picture size of the tests."""
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops import FrozenBatchNorm2d

    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d
    )
    state = MaskRCNN(backbone, num_classes=91).state_dict()
    path = tmp_path_factory.mktemp("objects") / "maskrcnn_resnet50_fpn_coco.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def encoder(published) -> MaskRcnnEncoder:
    encoder = load_mask_rcnn(published)
    encoder.transform.min_size, encoder.transform.max_size = (160,), 160  # for the tests' time
    return encoder


def _picture() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 120, 160), generator=generator, dtype=torch.uint8)


def test_the_vector_is_fc7_of_torchvisions_own_model(published, encoder) -> None:
    from torchvision.models.detection import maskrcnn_resnet50_fpn
    from torchvision.ops import FrozenBatchNorm2d

    model = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=160, max_size=160
    ).eval()
    model.load_state_dict(torch.load(published, weights_only=True), strict=False)
    for module in model.backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d | FrozenBatchNorm2d):
            module.eps = 0.0  # as torchvision does for its own weights
    box = (20.0, 30.0, 100.0, 110.0)
    with torch.no_grad():
        images, targets = model.transform([_picture() / 255], [{"boxes": torch.tensor([box])}])
        features = model.backbone(images.tensors)
        pooled = model.roi_heads.box_roi_pool(features, [targets[0]["boxes"]], images.image_sizes)
        expected = model.roi_heads.box_head(pooled)[0]
    found = encoder.encode(_picture(), box)
    assert found.shape == (1024,) and found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_box_decides(encoder) -> None:
    picture = _picture()
    whole = encoder.encode(picture, (0, 0, 160, 120))
    part = encoder.encode(picture, (0, 0, 60, 60))
    assert whole.isfinite().all() and not torch.allclose(whole, part)
    assert encoder.encode(picture, (5, 5, 6, 6)).isfinite().all()


def test_parts_that_are_not_needed_are_let_go(encoder) -> None:
    names = {name.partition(".")[0] for name in encoder.state_dict()}
    assert names == {"backbone", "box_head"}
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_safetensors_with_the_same_weights_is_the_same_encoder(
    published, encoder, tmp_path
) -> None:
    state = torch.load(published, weights_only=True)
    kept = {n: x for n, x in state.items() if n.startswith(("backbone", "roi_heads.box_head"))}
    save_file(kept, tmp_path / "maskrcnn.safetensors")
    assert load_mask_rcnn(tmp_path / "maskrcnn.safetensors").key == encoder.key


class Evil:
    def __reduce__(self):
        return eval, ("open('owned', 'w')",)


def test_other_files_are_refused_and_run_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("evil.pth", {"backbone": Evil()}), ("list.pth", [1, 2])):
        torch.save(value, tmp_path / name)
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "junk.pth").write_bytes(b"junk")
    for name in ("evil.pth", "raw.pth", "junk.pth"):
        with pytest.raises(ValueError, match=f"{name} is refused: .* more than tensors"):
            load_mask_rcnn(tmp_path / name)
    assert not (tmp_path / "owned").exists()
    with pytest.raises(ValueError, match="list.pth holds no state dict"):
        load_mask_rcnn(tmp_path / "list.pth")
    torch.save({"backbone.body.conv1.weight": torch.zeros(8, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other.pth has .* for backbone.body.conv1.weight"):
        load_mask_rcnn(tmp_path / "other.pth")
    with pytest.raises(ValueError, match="nothing.pth is not there"):
        load_mask_rcnn(tmp_path / "nothing.pth")
