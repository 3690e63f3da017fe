"""Untrusted JSON: bounded work, one line a message."""

import json
import os
from pathlib import Path

import pytest

from tora2.fields import MAX_CONTAINERS, load_json, load_json_file, mapping, plain, show


def test_a_repeated_key_is_found_in_one_pass() -> None:
    """Counting each key among all of them would take hours at this size."""
    keys = [f'"{i}":0' for i in range(400_000)]
    text = "{" + ",".join([*keys, '"399999":1']) + "}"
    with pytest.raises(ValueError, match="'399999' occurs twice"):
        load_json(text, "a document", len(text))
    assert len(load_json("{" + ",".join(keys) + "}", "a document", len(text))) == 400_000


def test_an_unknown_key_is_found_among_many() -> None:
    many = dict.fromkeys(map(str, range(200_000)))
    with pytest.raises(ValueError, match="unknown key '0', expected a"):
        mapping(many, "", ("a",))


def test_text_of_many_containers_is_refused_before_it_is_parsed() -> None:
    for pair in ("{}", "[]"):
        text = "[" + ",".join([pair] * MAX_CONTAINERS) + "]"
        with pytest.raises(ValueError, match=f"{MAX_CONTAINERS + 1} objects and lists"):
            load_json(text, "a document", len(text))


def test_no_more_of_a_file_is_read_than_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a": "é"}), encoding="utf-8")
    assert load_json_file(path, 100) == {"a": "é"}
    with path.open("r+b") as file:
        file.truncate(2**40)  # a hole, which reading it whole would fill
    with pytest.raises(ValueError, match=r"x\.json has more than 100 bytes"):
        load_json_file(path, 100)
    with pytest.raises(FileNotFoundError):
        load_json_file(tmp_path / "absent.json", 100)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_beside_weights_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors.index.json")
    with pytest.raises(ValueError, match="is a pipe, expected a regular file"):
        load_json_file(tmp_path / "model.safetensors.index.json", 100)


def test_names_out_of_files_fit_in_a_line() -> None:
    assert plain("blocks.0.attn1.to_q.weight") == "blocks.0.attn1.to_q.weight"
    assert plain("a\x1b[31m\nb\u202e\ud800\x00") == r"a\x1b[31m\nb\u202e\ud800\x00"
    assert len(plain("x" * 10**7)) == 120 and plain("x" * 200).endswith("x...")
    assert len(plain("\n" * 200, 30)) == 30
    assert len(show(b"x" * 10**8)) <= 60
