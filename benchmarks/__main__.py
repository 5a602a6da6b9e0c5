"""`make bench` lists the benchmarks; `make bench NAME=demo` runs one, `NAME="caption lookup"` a part of one."""

import sys
from importlib import import_module
from typing import Final

from lakehouse.errors import BadInput

BENCHMARKS: Final = {
    "caption": "a chat server captions: CPU of the client, how busy the server is, kills, changes, look-up, budget",
    "demo": "the demo from nothing, a second time, and with 1 % new pairs",
    "stream": "epochs read by worlds of changing size, killed again and again; how fast; what texts and losses pay",
    "hf_gpu": "a model of transformers on one GPU: images and tokens a second, and how busy the GPU is",
}


def main(argv: list[str]) -> int:
    """Run the benchmark that is named, or list them all."""
    if not argv or argv[0] not in BENCHMARKS:
        if argv:
            print(f"no benchmark {argv[0]!r}: there are", file=sys.stderr)
        print("\n".join(f"make bench NAME={name:<10} {what}" for name, what in BENCHMARKS.items()))
        return 2 if argv else 0
    try:
        return int(import_module(f"benchmarks.{argv[0]}").main(argv[1:]))
    except BadInput as error:
        print(f"{argv[0]}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
