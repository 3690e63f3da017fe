"""`python -m tora2 convert FILE --to …`: one weights file into another layout."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..files import check_writable


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser("convert", help="rewrite a checkpoint in another layout")
    parser.add_argument("file", metavar="FILE", help="a file or folder in any public layout")
    parser.add_argument(
        "--to",
        required=True,
        choices=("diffusers", "comfy", "tora2", "face"),
        help="the transformer under diffusers' or ComfyUI's names, the adapter as Tora2's own, or "
        "a face recogniser's ONNX file as safetensors",
    )
    parser.add_argument("--output", required=True, metavar="PATH", help="the .safetensors to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say what was written."""
    from ..checkpoints import convert_transformer, load_adapter, read_transformer, save_adapter
    from ..checkpoints.families import family_of
    from ..checkpoints.folders import read_transformer_weights
    from ..checkpoints.safetensors_file import write_safetensors

    output = Path(arguments.output)
    if output.suffix != ".safetensors":
        raise ValueError(f"cannot write {output}, expected a name that ends in .safetensors")
    check_writable(output)
    if arguments.to == "tora2":
        save_adapter(load_adapter(arguments.file), output)
    elif arguments.to == "face":
        from ..encoders.arcface import LAYOUT, convert_onnx

        write_safetensors(output, convert_onnx(arguments.file), {"format": LAYOUT})
    elif family := family_of((weights := read_transformer_weights(arguments.file)).tensors):
        write_safetensors(output, family.read(weights, arguments.to)[1], {"format": "pt"})
    else:
        _, tensors = read_transformer(arguments.file)
        tensors = convert_transformer(tensors, arguments.to)
        write_safetensors(output, tensors, {"format": "pt"})
    print(output)
    return 0
