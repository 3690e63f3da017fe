"""Damaged prompts and interrupts at random moments: sentences, results, and a server that stays."""

import asyncio
import copy
import math
import random
import time
from collections import Counter
from typing import Any

import junk_prompts
import pytest

LONGEST = 600


def unclean(text: str) -> bool:
    # Where a file is missing, the places that have it are told as well.
    sentence, _, _ = text.partition(" Searched are ")
    return not text or not text.isprintable() or len(sentence) > LONGEST


async def ended(session: Any, url: str, prompt: str) -> dict[str, Any]:
    """The history of a prompt, once it has run."""
    while True:
        async with session.get(f"{url}/history/{prompt}") as response:
            history = await response.json()
        if prompt in history:
            return history[prompt]["status"]
        await asyncio.sleep(0.05)


async def answer(session: Any, url: str, prompt: Any) -> tuple[str, str]:
    """What became of a prompt: refused, right, failed or of the host; and what is wrong with it."""
    async with session.post(f"{url}/prompt", json={"prompt": prompt}) as response:
        status = response.status
        if status not in (200, 400):
            return "host", f"answers {status}: {(await response.text())[:300]!r}"
        said = await response.json()
    if status == 400:
        errors = said["node_errors"] or {}
        ours = [
            error["details"]
            for node in errors.values()
            for error in node["errors"]
            if error["type"] == "custom_validation_failed"
        ]
        wrong = [text[:300] for text in ours if unclean(text)]
        return "refused", f"says {wrong[0]!r}" if wrong else ""
    status = await asyncio.wait_for(ended(session, url, said["prompt_id"]), 60)
    if status["status_str"] == "success":
        return "right", ""
    ((_, error),) = [m for m in status["messages"] if m[0] == "execution_error"]
    text = error["exception_message"].removesuffix("\n")
    plain = error["exception_type"] in ("ValueError", "OSError", "FileNotFoundError")
    ours = str(error["node_type"]).startswith("Tora2")
    wrong = ours and (not plain or unclean(text))
    return (
        "failed",
        f"{error['node_type']}: {error['exception_type']}: {text!r:.400}" if wrong else "",
    )


async def all_answers(
    url: str, seed: int, count: int, until: float
) -> tuple[Counter[str], list[str], float]:
    import aiohttp

    found, faults, longest = Counter[str](), [], 0.0
    async with aiohttp.ClientSession() as session:
        for name, prompt in junk_prompts.cases(seed, count):
            began = time.monotonic()
            if began > until:
                break
            try:
                kind, wrong = await answer(session, url, prompt)
            except asyncio.TimeoutError:
                faults.append(f"{name}: does not end within 60 s")
                break
            longest = max(longest, time.monotonic() - began)
            found[kind] += 1
            if wrong:
                faults.append(f"{name}: {wrong}")
    return found, faults, longest


def judged(server: Any, seed: int, count: int, within: float = math.inf) -> None:
    began = time.monotonic()
    found, faults, longest = asyncio.run(all_answers(server.url, seed, count, began + within))
    row = f"prompts, seed {seed}, {found.total()} cases: {dict(found)}, {len(faults)} faults, "
    print(row + f"{time.monotonic() - began:.0f} s, the longest {longest:.1f} s")
    assert not faults, "\n".join(faults)
    assert server.get("/system_stats")["system"]["comfyui_version"]


def test_a_selection(server: Any) -> None:
    judged(server, seed=0, count=40)


@pytest.mark.fuzz
def test_prompts(server: Any) -> None:
    judged(server, seed=1, count=6000)


@pytest.mark.fuzz
def test_interrupts(server: Any) -> None:
    interrupts(server, seed=1, count=50)


class Moment:
    """Interrupts after some messages of a run's progress, and keeps when that was."""

    def __init__(self, messages: int) -> None:
        self.left, self.at = messages, math.nan

    def __call__(self, message: dict[str, Any]) -> str | None:
        if message["type"] not in ("executing", "progress"):
            return None
        self.left -= 1
        if self.left >= 0:
            return None
        self.at = time.monotonic()
        return "/interrupt"


def interrupts(server: Any, seed: int, count: int) -> None:
    """Each ends its prompt, and the next prompt runs; how soon is printed."""
    chance = random.Random(seed)
    took: list[float] = []
    for number in range(count):
        twin = chance.choice(junk_prompts.TWINS)
        short, long = copy.deepcopy(twin), copy.deepcopy(twin)
        for prompt, steps in ((short, 1), (long, 900)):
            for node in prompt.values():
                if "steps" in node["inputs"]:
                    node["inputs"] |= {"steps": steps, "seed": seed * 1000 + number}
        asked = Moment(chance.randrange(12))
        run = server.run(long, asked)
        assert run.outcome == "execution_interrupted", run.messages[-1]
        took.append(time.monotonic() - asked.at)
        assert server.run(short).outcome == "execution_success"
    took.sort()
    print(f"{count} interrupts: {took[len(took) // 2]:.2f} s each, the longest {took[-1]:.2f} s")
