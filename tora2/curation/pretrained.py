"""Models that others publish: where they are searched, what is said where they are not, loading.

Nothing is ever fetched, no code of a checkpoint runs, and pickles are not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..device import resolve_device
from .stage import Need

FOLDER = "models"
"""Beneath the folder that the command runs in."""


@dataclass(frozen=True)
class Published:
    """A checkpoint folder as transformers saves it.

    Attributes:
        name: what it is called.
        repository: on huggingface.co, `owner/name`.
        size: of the download, in words.
        licence: of the weights.
    """

    name: str
    repository: str
    size: str
    licence: str

    def find(self, path: str | None) -> Path | None:
        """The folder: the given one, else `models/<name>`, else the Hugging Face cache's."""
        if path is not None:
            folder = Path(path)
            return folder if (folder / "config.json").is_file() else None
        folder = Path(FOLDER, self.repository.partition("/")[2])
        if (folder / "config.json").is_file():
            return folder
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(self.repository, "config.json")
        return Path(cached).parent if isinstance(cached, str) else None

    def folder(self, path: str | None) -> Path:
        """As `find`.

        Raises:
            ValueError: if it is not there.
        """
        found = self.find(path)
        if found is None:
            raise ValueError(f"{self.name} is not here: {self.where(path)}")
        return found

    def needs(self, path: str | None, key: str) -> list[Need]:
        """What is absent of it; `key` is the setting that names its folder."""
        if self.find(path) is not None:
            return []
        return [Need(self.name, self.where(path, key), self.size, self.licence)]

    def where(self, path: str | None, key: str = "model") -> str:
        """Where it is searched and where it is published, in words."""
        name = self.repository.partition("/")[2]
        places = f"the Hugging Face cache and {FOLDER}/{name}, as the setting {key} is not given"
        searched = places if path is None else f"{path}, which has no config.json"
        return (
            f"searched in {searched}; published at huggingface.co/{self.repository}, and never "
            f"fetched for you (hf download {self.repository})"
        )


@contextmanager
def refusals(folder: str | os.PathLike[str], expected: str) -> Iterator[None]:
    """What libraries raise over a checkpoint becomes one sentence."""
    from safetensors import SafetensorError

    try:
        yield
    except (
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        TypeError,
        AttributeError,
        ImportError,
        SafetensorError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{os.fspath(folder)} cannot be loaded ({reason}), expected {expected}"
        ) from error


def load_model(kind: Any, folder: Path, expected: str, device: str, dtype: str = "float32") -> Any:
    """A model of a checkpoint folder, ready to run.

    Args:
        kind: a class of transformers.
        folder: with `config.json` and safetensors files.
        expected: what it should be, for the sentence where it is not.
        device: as `device.resolve_device` takes it.
        dtype: of the weights; `auto` keeps the checkpoint's.

    Raises:
        ValueError: if it cannot be loaded, or weights are missing in it.
    """
    with refusals(folder, expected):
        model, loading = kind.from_pretrained(
            os.fspath(folder),
            output_loading_info=True,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=dtype,
        )
    if missing := sorted(loading["missing_keys"]):
        raise ValueError(
            f"{folder} lacks {len(missing)} weights such as {missing[0]}, expected {expected}"
        )
    return model.eval().to(resolve_device(device))


def load_part(kind: Any, folder: Path, expected: str) -> Any:
    """A tokenizer or processor of a checkpoint folder.

    Raises:
        ValueError: if it cannot be loaded.
    """
    with refusals(folder, expected):
        return kind.from_pretrained(
            os.fspath(folder), local_files_only=True, trust_remote_code=False
        )


class Chat:
    """A model that answers messages; loads it when it is made.

    Args:
        words, model: classes of transformers: a tokenizer or processor, and a generating model.
        folder, expected, device: as `load_model` takes them.
        most_tokens: of an answer.

    Raises:
        ValueError: if it cannot be loaded or has no chat template.
    """

    def __init__(
        self, words: Any, model: Any, folder: Path, expected: str, device: str, most_tokens: int
    ) -> None:
        self.words: Any = load_part(words, folder, expected)
        if getattr(self.words, "chat_template", None) is None:
            raise ValueError(f"{folder} has no chat template, expected {expected}")
        self.model = load_model(model, folder, expected, device, "auto")
        self.most_tokens = most_tokens

    def answer(self, content: Any) -> str:
        """What the model says to one message, a text or parts of one, by its most likely words."""
        import torch

        inputs = self.words.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.model.device)
        with torch.inference_mode():
            tokens = self.model.generate(**inputs, max_new_tokens=self.most_tokens, do_sample=False)
        said: str = self.words.batch_decode(
            tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )[0]
        return said


def memory(*folders: Path | None) -> int:
    """Bytes that a worker with the weights in these folders takes, about."""
    files = (file for folder in folders if folder for file in folder.glob("*.safetensors"))
    return (1 << 30) + sum(file.stat().st_size for file in files) * 5 // 4


def on_gpu(device: str) -> bool:
    """Whether work on this device takes a share of a GPU here."""
    if device != "auto":
        return device.startswith("cuda")
    import torch

    return torch.cuda.is_available()
