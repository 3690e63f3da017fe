"""What loading the pack adds to ComfyUI's start: `COMFYUI_PATH=… python benchmarks/import_time.py`.

Each round is a fresh process with the host's own nodes loaded first, as at a real start; the bar is
0.3 s. It also says whether the pack pulled in anything heavy that the host had not.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = ("diffusers", "insightface", "onnxruntime", "matplotlib", "pandas")
ROUNDS, BAR_S = 5, 0.3


def once() -> None:
    """Print the seconds of one load and the heavy modules that came with it."""
    sys.path.insert(0, os.environ["COMFYUI_PATH"])
    import comfy.options

    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args

    args.cpu = True
    import nodes

    asyncio.run(nodes.init_builtin_extra_nodes())
    before = set(sys.modules)
    started = time.perf_counter()
    loaded = asyncio.run(nodes.load_custom_node(str(ROOT)))
    seconds = time.perf_counter() - started
    assert loaded
    heavy = [name for name in HEAVY if name in set(sys.modules) - before]
    print(f"RESULT {seconds} {','.join(heavy)}")


def main() -> int:
    seconds, heavy = [], set()
    for _ in range(ROUNDS):
        out = subprocess.run(
            [sys.executable, __file__, "once"], capture_output=True, text=True, check=True
        ).stdout
        _, value, names, *_ = (out.split("RESULT", 1)[1] + " ").split(" ")
        seconds.append(float(value))
        heavy |= {name for name in names.strip().split(",") if name}
    median = statistics.median(seconds)
    print(f"import: fastest {min(seconds):.3f} s, median {median:.3f} s of {ROUNDS}; bar {BAR_S} s")
    print(f"heavy modules: {', '.join(sorted(heavy)) or 'none'}")
    return int(min(seconds) > BAR_S or bool(heavy))


if __name__ == "__main__":
    if sys.argv[1:] == ["once"]:
        once()
    else:
        sys.exit(main())
