"""Where work is done, by name."""

import torch


def resolve_device(name: str) -> torch.device:
    """A device by name; "auto" is the GPU where there is one.

    Raises:
        ValueError: if the name is none, or there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ValueError(
            f"device {name!r} cannot be used here; expected auto, cpu or a GPU such as cuda"
        ) from None
    return device
