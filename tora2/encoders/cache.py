"""Results of encoders, kept so that the same picture is encoded once."""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from ..files import atomic_path


class FeatureCache:
    """Tensors by name: the most recently used in memory and, if asked, in a folder.

    Args:
        max_bytes: of the tensors kept in memory.
        folder: also keep them there, across sessions; made when it is first needed.
        max_disk_bytes: of the files kept there.
    """

    def __init__(
        self,
        max_bytes: int = 128 << 20,
        folder: str | os.PathLike[str] | None = None,
        max_disk_bytes: int = 1 << 30,
    ) -> None:
        self.max_bytes = max_bytes
        self.folder = None if folder is None else Path(folder)
        self.max_disk_bytes = max_disk_bytes
        self._tensors: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """What is kept in memory now."""
        return sum(x.nbytes for x in self._tensors.values())

    def get(self, name: str, compute: Callable[[], Tensor]) -> Tensor:
        """The tensor called `name`, computed unless it is kept; the caller must not change it."""
        with self._lock:
            if name in self._tensors:
                self._tensors.move_to_end(name)
                return self._tensors[name]
        tensor = self._read(name)
        if tensor is None:
            tensor = compute().detach().cpu().contiguous()
            self._write(name, tensor)
        with self._lock:
            self._tensors[name] = tensor
            while self._tensors and self.bytes > self.max_bytes:
                self._tensors.popitem(last=False)
        return tensor

    def clear(self) -> None:
        """Forget what is in memory; files stay."""
        with self._lock:
            self._tensors.clear()

    def _file(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.safetensors"

    def _read(self, name: str) -> Tensor | None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if self.folder is None:
            return None
        file = self._file(name)
        try:
            tensor = load_file(file)["value"]
            os.utime(file)
        except (OSError, SafetensorError, KeyError):  # a lost file costs one more computation
            return None
        return tensor

    def _write(self, name: str, tensor: Tensor) -> None:
        from safetensors.torch import save_file

        if self.folder is None or tensor.nbytes > self.max_disk_bytes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._file(name)) as path:
            save_file({"value": tensor}, path)
        files = [(x.stat().st_mtime, x.stat().st_size, x) for x in self.folder.glob("[!.]*")]
        total = sum(size for _, size, _ in files)
        for _, size, file in sorted(files):
            if total <= self.max_disk_bytes:
                break
            file.unlink(missing_ok=True)
            total -= size
