"""Two users of one `--multi-user` server: what one keeps, the other neither sees nor loads."""

import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parents[2] / "tora2" / "assets" / "demo"
API = Path(__file__).parent / "api" / "tora2_tiny_demo.json"
FILE = "tora2/entities/one_00001_.safetensors"


@pytest.fixture(scope="module")
def people(serving: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """A server as two of its users see it, and as one who says no name does."""
    base = tmp_path_factory.mktemp("users")
    with serving(base, "--multi-user", public=False) as server:
        for picture in ("circle.png", "star.png"):
            shutil.copy(DEMO / picture, base / "input" / picture)
        names = [server.post("/users", {"username": name})[1] for name in ("ann", "ben")]
        yield [*(replace(server, user=name) for name in names), server]


def keeping(word: str) -> dict[str, Any]:
    """An entity of the demo, saved under one name whoever it is."""
    demo = json.loads(API.read_text())
    entity = demo["3"]
    inputs = {"entity": ["3", 0], "filename_prefix": "tora2/entities/one"}
    entity["inputs"]["word"] = word
    entity["inputs"].pop("images", None)  # a word alone is encoded at once
    return {
        "1": demo["1"],
        "3": entity,
        "20": {"class_type": "Tora2SaveEntity", "inputs": inputs},
    }


def loading(file: str) -> dict[str, Any]:
    return {
        "30": {
            "class_type": "Tora2LoadEntity",
            "inputs": {"file": file, "word": "", "strength": 1.0},
        },
        "31": {"class_type": "PreviewAny", "inputs": {"source": ["30", 2]}},
    }


def listed(server: Any) -> list[str]:
    info = server.get("/object_info/Tora2LoadEntity")["Tora2LoadEntity"]
    file = info["input"]["required"]["file"]
    return file[1]["options"] if isinstance(file[0], str) else file[0]


def shown(run: Any, node: str) -> str:
    (message,) = [m for m in run.of("executed") if m["node"] == node]
    return "\n".join(message["output"]["text"])


def test_entities_are_their_users_own(people: list[Any]) -> None:
    ann, ben, nobody = people
    mine = f"{FILE} [user]"
    for one in people:
        assert listed(one) == []
    assert shown(ann.run(keeping("circle")), "20") == f"Saved as {FILE}"
    assert listed(ann) == [mine] and listed(ben) == [] and listed(nobody) == []

    status, answer = ben.post("/prompt", {"prompt": loading(mine)})
    assert status == 400 and "one_00001_" in json.dumps(answer)
    elsewhere = f"../{ann.user}/{FILE} [user]"
    for asked in (elsewhere, elsewhere.replace("[user]", "[output]"), f"../user/{mine}"):
        assert ben.post("/prompt", {"prompt": loading(asked)})[0] == 400

    # The same graph of another: ComfyUI keeps results, but this one saves for him.
    assert shown(ben.run(keeping("circle")), "20") == f"Saved as {FILE}"
    assert listed(ben) == [mine]
    ben.run(keeping("star"))
    assert shown(ben.run(loading(mine)), "31").startswith("'circle'")
    (ben.base / "user" / ben.user / FILE).unlink()
    (ben.base / "user" / ben.user / FILE.replace("1_", "2_")).rename(
        ben.base / "user" / ben.user / FILE
    )
    assert shown(ben.run(loading(mine)), "31").startswith("'star'")
    assert shown(ann.run(loading(mine)), "31").startswith("'circle'")
    assert sorted(path.parts[-4] for path in ann.base.rglob("one_*.safetensors")) == sorted(
        [ann.user, ben.user]
    )


def test_what_nobody_in_particular_keeps_is_everybodys(people: list[Any]) -> None:
    *users, nobody = people
    nobody.run(keeping("heart"))
    common = f"{FILE} [output]"
    assert listed(nobody) == [common] and (nobody.base / "output" / FILE).is_file()
    for one in users:
        assert common in listed(one)
        assert shown(one.run(loading(common)), "31").startswith("'heart'")


def test_nobody_queues_under_the_id_of_anothers_prompt(people: list[Any]) -> None:
    ann, ben, _ = people
    given = {"prompt": keeping("cross"), "prompt_id": str(uuid.uuid4())}
    assert ann.post("/prompt", given)[1]["prompt_id"] == given["prompt_id"]
    assert ben.post("/prompt", given)[1]["prompt_id"] != given["prompt_id"]
