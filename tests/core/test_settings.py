"""Settings: what a YAML file may hold, and one short sentence for what it may not."""

import os
import sys
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from tora2.settings import MAX_BYTES, Within, changed, load, read


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Within(0, 1)] = 0.5
    mode: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    name: str
    count: Annotated[int, Within(1, 9)] = 1
    pair: tuple[float, float] = (0.0, 1.0)
    many: tuple[int, ...] = ()
    maybe: str | None = None
    free: dict[str, Any] = field(default_factory=dict)
    inner: Inner = Inner()


def loaded(folder: Path, content: str | bytes) -> Outer:
    path = folder / "c.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(Outer, path)


def test_every_kind_of_field(tmp_path: Path) -> None:
    text = "{name: x, count: 3, pair: [1, .5], many: [1, 2], maybe: null, free: {k: [1]}, "
    assert loaded(tmp_path, text + "inner: {share: 1, mode: b}}") == Outer(
        "x", 3, (1.0, 0.5), (1, 2), None, {"k": [1]}, Inner(1.0, "b")
    )


BILLION = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n"
    for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BILLION, "anchors and aliases are not taken.* in line 1"),
        ("name: &x y\n", "anchors"),
        ("name: x\nfree: {<<: *b}", "anchors and aliases.*in line 2"),
        ("[" * 60_000, "nested more than 16 deep"),
        ("free: " + "{a: " * 40 + "1" + "}" * 40, "nested more than 16 deep"),
        ("name: !!python/object/apply:os.getcwd []", "tag 'tag:yaml.org,2002:python.*in line 1"),
        ("name: !!timestamp x", "tag .*timestamp"),
        ("name: !!int ''", "tag .*int"),
        ("name: x\nname: y", "key 'name' occurs twice.*in line 2"),
        ("name: x\n? [1]\n: 2", "unhashable"),
        ("name: 2001-99-99", "not YAML: month"),
        ("count: " + "1" * 5000, "not YAML: .*4300"),
        ("count: " + "1" * 4000, "'count' is an integer of .* bits"),
        ("name: x\n" + "#" * MAX_BYTES, f"at most {MAX_BYTES} bytes"),
        (b"\xff\xfe\x00", "not YAML"),
        ("name: \x07", "not YAML"),
        ("5", "the file is 5; expected a mapping"),
        ("", "the file is None; expected a mapping"),
        ("count: 2", "no key 'name'"),
        ("name: x\n1: 2", "key 1 is unknown"),
        ("name: x\n" + "k" * 900 + ": 2", "key 'k+.* is unknown"),
        ('name: x\n"a\\e[31m": 2', r"key 'a\\x1b\[31m' is unknown; expected some of count"),
        ("name: x\nfree: {1: 2}", "'free' has the key 1; expected a text"),
        ("name: ''", "'name' is ''; expected a printable text"),
        ('name: "a\\0b"', "'name' is .*printable"),
        ("name: " + "n" * 60_000, "'name' is 'n+.*printable text of 1 to 4096"),
        ("{name: x, count: 0}", "'count' is 0; expected a number from 1 to 9"),
        ("{name: x, count: 1.0}", "'count' is 1.0; expected int"),
        ("{name: x, count: true}", "'count' is True; expected int"),
        ("{name: x, pair: [1]}", r"'pair' is \[1\]; expected 2 values"),
        ("{name: x, pair: [1, .nan]}", "'pair' is nan; expected a finite number"),
        ("{name: x, pair: 3}", "'pair' is 3; expected a list"),
        ("{name: x, free: [1]}", r"'free' is \[1\]; expected a mapping"),
        ("{name: x, inner: {share: .inf}}", "'inner.share' is inf"),
        ("{name: x, inner: {share: 1.5}}", "'inner.share' is 1.5; expected a number from 0 to 1"),
        ("{name: x, inner: {mode: [c]}}", "'inner.mode' is .*expected one of a, b"),
        ("{name: x, inner: {mood: a}}", "'inner.mood' is unknown; expected some of mode, share"),
        ("{name: x, inner: 3}", "'inner' is 3; expected a mapping"),
    ],
)
def test_what_is_refused_is_one_short_sentence(
    tmp_path: Path, content: str | bytes, says: str
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=says) as refused:
            loaded(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    sentence = str(refused.value)
    assert "c.yaml" in sentence and len(sentence) < 400 + len(str(tmp_path))
    assert sentence.isprintable()


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="pipe.*expected a regular file"):
        load(Outer, pipe)
    with pytest.raises(OSError, match="directory"):
        load(Outer, tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        load(Outer, tmp_path / "none")


def test_some_fields_are_changed_and_nested_ones_kept() -> None:
    value = Outer("x", free={"a": 1}, inner=Inner(0.25))
    after = changed(value, {"count": 2, "free": {"b": 2}, "inner": {"mode": "b"}})
    assert after == Outer("x", 2, free={"a": 1, "b": 2}, inner=Inner(0.25, "b"))
    for changes, says in (
        ({"inner": {"share": 2}}, "'inner.share' is 2"),
        ({"inner": 3}, "'inner' is 3; expected a mapping"),
        ({"speed": 3}, "'speed' is unknown"),
        ([1], "expected a mapping"),
    ):
        with pytest.raises(ValueError, match=says):
            changed(value, changes)


def test_defaults_need_no_file() -> None:
    assert read(Inner, {}) == Inner()
