"""Pictures of every common kind become the same tensors; everything else is one sentence."""

import io
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_pictures import png, tiff
from PIL import Image

from tora2.encoders import picture_file, pictures
from tora2.encoders.pictures import (
    Picture,
    content_box,
    crop,
    load_picture,
    on_white,
    pad_square,
    picture_from_tensor,
    resize,
)


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _halves(mode: str = "RGB", left=(255, 0, 0), right=(0, 0, 255)) -> Image.Image:
    """Left half one colour, right half another; 40 wide, 20 high."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20], pixels[:, 20:] = left, right
    return Image.fromarray(pixels).convert(mode)


def _colours(picture: Picture) -> tuple[tuple[int, ...], tuple[int, ...]]:
    height, width = picture.size
    at = picture.rgb[:, height // 2]
    return tuple(at[:, width // 8].tolist()), tuple(at[:, -width // 8].tolist())


def _near(a, b, tolerance: int = 6) -> bool:
    return all(abs(x - y) <= tolerance for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_formats(kind: str) -> None:
    picture = load_picture(_encoded(_halves(), kind))
    left, right = _colours(picture)
    assert picture.size == (20, 40) and picture.alpha is None
    assert _near(left, (255, 0, 0)) and _near(right, (0, 0, 255))


def test_cmyk_palette_and_grey() -> None:
    left, right = _colours(load_picture(_encoded(_halves("CMYK"), "JPEG", quality=95)))
    assert _near(left, (254, 0, 0), 8) and _near(right, (0, 0, 254), 8)
    assert _colours(load_picture(_encoded(_halves("P"), "PNG")))[0] == (255, 0, 0)
    grey = load_picture(_encoded(_halves("L", (50,) * 3, (200,) * 3), "PNG"))
    assert _colours(grey) == ((50, 50, 50), (200, 200, 200))


def test_sixteen_bit_and_float_keep_their_brightness() -> None:
    values = np.zeros((20, 40), np.uint16)
    values[:, 20:] = 0x8080
    deep = load_picture(_encoded(Image.fromarray(values), "PNG"))
    assert _colours(deep) == ((0, 0, 0), (128, 128, 128))
    real = Image.fromarray((values / 65535).astype(np.float32))
    assert _colours(load_picture(_encoded(real, "TIFF"))) == ((0, 0, 0), (128, 128, 128))
    with pytest.raises(ValueError, match=r"leave \[0, 1\]"):
        load_picture(_encoded(Image.fromarray(np.full((4, 4), 7.5, np.float32)), "TIFF"))


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_undone(turn: int) -> None:
    upright = Image.new("RGB", (40, 20))
    upright.paste((255, 0, 0), (0, 0, 20, 10))  # top left
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL's transpositions, the way back
    stored = upright.transpose(Image.Transpose(undo[turn])) if turn in undo else upright
    exif = Image.Exif()
    exif[0x0112] = turn
    picture = load_picture(_encoded(stored, "PNG", exif=exif))
    assert picture.size == (20, 40)
    assert picture.rgb[0, 2, 2] == 255 and int(picture.rgb[0].sum()) == 255 * 200


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "lime", "blue")]
    for kind in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = _encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert load_picture(data).rgb[:, 4, 4].tolist() == [255, 0, 0], kind


def test_alpha_of_every_kind_shows_white() -> None:
    clear = _halves("RGBA")
    clear.putalpha(Image.fromarray(np.repeat([[255] * 20 + [0] * 20], 20, 0).astype(np.uint8)))
    key = _halves()
    for data in (
        _encoded(clear, "PNG"),
        _encoded(clear, "WEBP", lossless=True),
        _encoded(clear.quantize(8), "PNG"),
        _encoded(key, "PNG", transparency=(0, 0, 255)),
    ):
        picture = load_picture(data)
        assert picture.alpha is not None
        assert on_white(picture)[:, 3, 3].tolist() == [255, 0, 0]
        assert on_white(picture)[:, 3, 33].tolist() == [255, 255, 255]
        assert content_box(picture) == (0, 0, 20, 20)
    half = Picture(torch.zeros(3, 2, 2, dtype=torch.uint8), torch.full((2, 2), 0.5))
    assert on_white(half).unique().tolist() == [128]


def test_large_pictures_are_scaled_down_and_larger_ones_refused(monkeypatch) -> None:
    data = _encoded(_halves().resize((400, 200)), "JPEG")
    assert load_picture(data, max_side=100).size == (50, 100)
    monkeypatch.setattr(picture_file, "MAX_PIXELS", 400 * 200 - 1)
    with pytest.raises(ValueError, match="400x200 pixels"):
        load_picture(data, "holiday.jpg")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked() -> None:
    data = bytearray(_encoded(Image.new("1", (8, 8)), "PNG"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # 3.6 gigapixels, in 70 bytes
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    with pytest.raises(ValueError, match="bomb.png has .* expected at most 100 million"):
        load_picture(bytes(data), "bomb.png")


def test_sides_are_bounded_as_well(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="99999999x1 pixels; expected sides of at most 100000"):
        load_picture(png((99_999_999, 1), 8, 2, b""))


def test_deep_grey_is_brought_to_eight_bits_in_strips(monkeypatch) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (31, 40)).astype(np.uint16)
    data = _encoded(Image.fromarray(values), "PNG")
    whole = load_picture(data).rgb
    assert np.array_equal(whole[0].numpy(), np.round(values * (255 / 65535)).astype(np.uint8))
    sizes = []
    paste = Image.Image.paste

    def noted(image, strip, place):
        sizes.append(strip.size)
        paste(image, strip, place)

    monkeypatch.setattr(pictures, "_STRIP", 160)
    monkeypatch.setattr(Image.Image, "paste", noted)
    assert torch.equal(load_picture(data).rgb, whole)
    assert sizes == [(40, 4)] * 7 + [(40, 3)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
def test_pipes_and_devices_are_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cat.png")  # opening it would wait for ever
    with pytest.raises(ValueError, match=r"cat\.png is a pipe, expected"):
        load_picture(tmp_path / "cat.png")
    with pytest.raises(ValueError, match="/dev/zero is a device, expected"):
        load_picture("/dev/zero")


def test_a_file_may_have_a_limited_size_and_number_of_pieces(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "cat.png"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(ValueError, match="has 1048576 MiB; expected .* of at most 512"):
        load_picture(file)
    file.write_bytes(b"GIF89a\x08\0\x08\0\0\0\0" + bytes(9999))  # skipped byte by byte
    monkeypatch.setattr(picture_file, "_MAX_READS", 1000)
    with pytest.raises(ValueError, match="no pixels are found in it"):
        load_picture(file)


def test_the_scans_of_a_jpeg_are_counted(tmp_path: Path) -> None:
    data = _encoded(Image.new("L", (5000, 4000)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    many = data[:-2] + data[last:-2] * 200 + data[-2:]
    (tmp_path / "cat.jpg").write_bytes(many)
    for source in (many, tmp_path / "cat.jpg"):
        with pytest.raises(ValueError, match="5000x4000 pixels 101 times .* at most 100 scans"):
            load_picture(source)
    after = data + many[2:]  # what follows the end, such as a film, is not counted
    assert load_picture(after).size == (1638, 2048)


def test_tiles_are_no_larger_than_pictures() -> None:
    entries = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 324: -1, 325: 9}
    with pytest.raises(ValueError, match="tiles of 40000x30000 pixels; expected at most 100"):
        load_picture(tiff({**entries, 322: 40_000, 323: 30_000}, bytes(9)))


def test_costly_decoders_get_fewer_pixels() -> None:
    with pytest.raises(ValueError, match="9000x9000 pixels; expected at most 5 million"):
        load_picture(b"P3\n9000 9000\n255\n" + b"0 " * 100)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_what_is_no_image_is_refused(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(data)
    with pytest.raises(
        ValueError, match=r"cat\.png cannot be read as an image .* expected a whole"
    ):
        load_picture(file)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing.png does not exist"):
        load_picture(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match="cannot be read"):
        load_picture(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_damaged_files_never_raise_anything_else(kind: str) -> None:
    whole = _encoded(_halves(), kind)
    draw = random.Random(0)
    refused = 0
    for i in range(60):
        data = bytearray(whole[: draw.randrange(len(whole))] if i % 2 else whole)
        for _ in range(draw.randrange(12)):
            if data:
                data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            assert load_picture(bytes(data)).rgb.shape[0] == 3
        except ValueError as error:
            refused += 1
            assert str(error).startswith("the image ") and "\n" not in str(error)
    assert refused > 10


def test_pictures_of_a_host() -> None:
    image = torch.zeros(4, 8, 3)
    image[..., 0] = 1
    mask = torch.zeros(2, 4)
    mask[:, 2:] = 1
    picture = picture_from_tensor(image, mask)
    assert picture.alpha is not None and picture.alpha.shape == (4, 8)
    assert on_white(picture)[:, 2, 0].tolist() == [255, 255, 255]
    assert on_white(picture)[:, 2, 7].tolist() == [255, 0, 0]
    assert picture_from_tensor(image * float("nan")).rgb.sum() == 0
    assert picture_from_tensor(torch.rand(300, 600, 3), max_side=100).size == (50, 100)
    with pytest.raises(ValueError, match="mask is empty"):
        picture_from_tensor(image, torch.zeros(4, 8))
    with pytest.raises(ValueError, match=r"\(4, 8\); expected \[H, W, 3 or 4\]"):
        picture_from_tensor(torch.zeros(4, 8))


def test_geometry() -> None:
    image = torch.arange(24, dtype=torch.uint8).view(1, 4, 6)
    square = pad_square(image)
    assert square.shape == (1, 6, 6) and torch.equal(square[:, 1:5], image)
    assert square[:, 0].unique().tolist() == [255]
    assert torch.equal(crop(image, (1, 2, 4, 9)), image[:, 2:, 1:4])
    assert crop(image, (9, 9, 9, 9)).shape == (1, 1, 1)
    flat = torch.full((3, 50, 50), 77, dtype=torch.uint8)
    assert torch.equal(resize(flat, (7, 13)), torch.full((3, 7, 13), 77, dtype=torch.uint8))
