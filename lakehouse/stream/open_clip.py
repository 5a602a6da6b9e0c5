"""open_clip's own trainer on a release: its code, its flags, our batches in the place of its data loader's.

    torchrun --nproc-per-node 8 -m lakehouse.stream.open_clip --lake LAKE --release NAME -- --model ViT-B-32 --epochs 10

What stands behind ``--`` goes to ``open_clip_train.main``. Who calls open_clip's functions from code of their own takes
``data_info``, which returns what its ``get_data`` has under ``train``.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lakehouse.cli import FROM_ZERO, parse
from lakehouse.errors import BadInput, LakehouseError, MissingPart
from lakehouse.stream.caption_stream import CaptionStream
from lakehouse.stream.mix import Mix
from lakehouse.stream.places import batches
from lakehouse.stream.releases import read_release
from lakehouse.stream.tokens import Tokenizer, Tokens
from lakehouse.stream.world import World
from lakehouse.weights import parse_weights

if TYPE_CHECKING:
    import torch

    from lakehouse.stream.pixels import Scaling

Preprocess = Callable[[Any], "torch.Tensor"]
"""open_clip's transform: from a PIL image to a normalised tensor (3, side, side)."""

_PROG = "lakehouse.stream.open_clip"
_OWN: Mapping[str, Any] = {
    "train_data": None,
    "dataset_resampled": False,
    "train_data_upsampling_factors": None,
    "aug_cfg": {},
}
"""Settings of open_clip's loaders for training, as they are when nobody gave them: the stream does their work."""
_PROBE = 64
"""Side, in pixels, of the two images from which a transform's normalising is read."""


@dataclass(frozen=True)
class Config:
    """Train by open_clip's own trainer on a release. Its flags follow behind ``--``."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    release: Annotated[str, "name of the release"]
    mix: Annotated[str, "text columns and weights, such as alt_text=1; the release's own by default"] = ""
    seed: Annotated[int | None, "seed of order, choice of text and crop; the release's own by default"] = None
    threads: Annotated[int, "that decode; 0 for one a processor, 16 at most", FROM_ZERO] = 0
    held_out: Annotated[bool, "evaluate on the release's held-out rows, in the place of --val-data"] = False


class Loader:
    """What open_clip's trainer iterates over: pairs of images, normalised on ``device``, and tokens.

    An epoch of the trainer is ``num_batches`` batches, which need not be an epoch of the release: the trainer's epoch e
    begins at batch ``e * num_batches``. So whoever wants a checkpoint more often makes epochs shorter, and a training
    that goes on from one goes on with the very next row.

    Attributes:
        num_batches: batches of an epoch on every process
        num_samples: rows of them on all processes
    """

    def __init__(
        self,
        stream: CaptionStream,
        scaling: "Scaling",
        tokenizer: Tokenizer,
        *,
        device: "torch.device | str" = "cpu",
        num_batches: int | None = None,
        workers: int = 0,
    ) -> None:
        self.stream = stream
        self.num_batches = len(stream) if num_batches is None else num_batches
        self.num_samples = self.num_batches * stream.batch_size * stream.world.size
        self._scaling, self._tokens, self._device = scaling, Tokens(tokenizer, workers=workers), device
        self._epoch = 0

    def set_value(self, epoch: int) -> None:
        """Begin with the trainer's epoch ``epoch``: what open_clip calls on its shared epoch."""
        self._epoch = epoch

    def get_value(self) -> int:
        """Return the trainer's epoch."""
        return self._epoch

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
        for batch, tokens in self._tokens.of(batches(self.stream, self._epoch * self.num_batches, self.num_batches)):
            yield self._scaling(batch.image, self._device), tokens


def data_info(
    stream: CaptionStream,
    preprocess: Preprocess,
    tokenizer: Tokenizer,
    *,
    device: "torch.device | str" = "cpu",
    num_samples: int | None = None,
    workers: int = 0,
) -> Any:
    """Return open_clip's ``DataInfo`` over a stream, which its ``train_one_epoch`` takes as ``data["train"]``.

    Args:
        stream: of this process, its image size that of the model
        preprocess: one of open_clip's transforms of the model: of it only the normalising counts, the stream crops
        tokenizer: of the model, as ``open_clip.get_tokenizer`` returns it
        device: where images are normalised
        num_samples: rows of one of the trainer's epochs, rounded up to whole batches; None takes the release's own
        workers: processes that turn texts into tokens; 0 for a thread of this one
    """
    module = _module("open_clip_train.data")
    side, scaling = read_preprocess(preprocess)
    if side != stream.image_size:
        raise BadInput(
            f"the model sees {side} pixels and the stream gives {stream.image_size}: make it with image_size={side}"
        )
    step = stream.batch_size * stream.world.size
    num_batches = None if num_samples is None else -(-num_samples // step)
    loader = Loader(stream, scaling, tokenizer, device=device, num_batches=num_batches, workers=workers)
    return module.DataInfo(dataloader=loader, shared_epoch=loader)


def read_preprocess(preprocess: Preprocess) -> tuple[int, "Scaling"]:
    """Return the side of the square images that a transform makes, and how it normalises them.

    What it makes of black and of white tells: between the two it is a straight line.
    """
    from PIL import Image

    from lakehouse.stream.pixels import Scaling

    black, white = (preprocess(Image.new("RGB", (_PROBE, _PROBE), colour)) for colour in ("black", "white"))
    _, height, width = black.shape
    if height != width:
        raise BadInput(f"the model sees images of {width} x {height} pixels: a stream gives squares")
    shift = black[:, 0, 0]
    return int(height), Scaling((white[:, 0, 0] - shift) / 255, shift)


def get_data(theirs: Callable[..., dict[str, Any]], config: Config) -> Callable[..., dict[str, Any]]:
    """Return what takes the place of open_clip's ``get_data``: training rows from the stream, the rest as it was."""

    def ours(
        args: argparse.Namespace, preprocess_fns: Sequence[Preprocess], epoch: int = 0, tokenizer: Any = None
    ) -> dict[str, Any]:
        # Not before: open_clip sets the level of every log that it finds. Petastorm says twice an epoch what it misses.
        logging.getLogger("petastorm").setLevel(logging.WARNING)
        rest = argparse.Namespace(**{**vars(args), "train_data": None})
        data = theirs(rest, preprocess_fns, epoch=epoch, tokenizer=tokenizer)
        # Of the two the one for evaluation: into the other go augmentations, which leave no straight line.
        _, preprocess = preprocess_fns
        train = _stream(config, args, preprocess, world=World(args.rank, args.world_size))
        settings = {"num_samples": args.train_num_samples, "workers": args.workers}
        data["train"] = data_info(train, preprocess, tokenizer, device=args.device, **settings)
        if config.held_out and args.rank == 0:  # the first process alone evaluates
            order = {"split": "held_out", "shuffle": False, "crop": "center", "drop_last": False}
            held_out = _stream(config, args, preprocess, world=World(), **order)
            data["val"] = data_info(held_out, preprocess, tokenizer, device=args.device)
            data["val"].dataloader.num_samples = held_out.rows
        return data

    return ours


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return 0 when done, 1 when failed with one line. A bad flag, of ours or theirs, exits with 2."""
    mine, theirs = _parted(sys.argv[1:] if argv is None else argv)
    config = parse(Config, mine, prog=_PROG)
    try:
        return _train(config, theirs)
    except LakehouseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _train(config: Config, theirs: Sequence[str]) -> int:
    trainer = _module("open_clip_train.main")
    check_flags(trainer.parse_args(list(theirs)))
    read_release(config.lake, config.release)
    trainer.get_data = get_data(trainer.get_data, config)
    # It makes an optimizer only where it knows of training data; and writes what it was told into params.txt.
    return 1 if trainer.main([*theirs, "--train-data", f"{config.lake}#{config.release}"]) else 0


def _parted(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    at = list(argv).index("--") if "--" in argv else len(argv)
    return list(argv[:at]), list(argv[at + 1 :])


def check_flags(args: argparse.Namespace) -> None:
    """Raise BadInput for a setting of open_clip that would do nothing, as the stream does its work."""
    given = [name for name, unset in _OWN.items() if getattr(args, name, unset) != unset]
    if args.dataset_type == "synthetic":
        given.append("dataset_type")
    if given:
        flag = given[0].replace("_", "-")
        raise BadInput(
            f"--{flag} is of open_clip's own loaders and does nothing here: the release says what is trained on"
        )


def _stream(config: Config, args: argparse.Namespace, preprocess: Preprocess, **given: Any) -> CaptionStream:
    side, _ = read_preprocess(preprocess)
    return CaptionStream(
        config.lake,
        release=config.release,
        batch_size=args.batch_size,
        image_size=side,
        mix=Mix(parse_weights(config.mix)) if config.mix else None,
        negatives=Mix(),
        seed=config.seed,
        threads=config.threads or None,
        **given,
    )


def _module(name: str) -> Any:
    """Return a module of open_clip; raise MissingPart where it, or what its trainer needs, is not installed."""
    from importlib import import_module

    try:
        version = str(import_module("open_clip").__version__)
        module = import_module(name)
    except ModuleNotFoundError as error:
        raise MissingPart(
            f"{error.name} is not installed: pip install 'open_clip_torch[training]', with your PyTorch's torchvision"
        ) from error
    if not version.startswith(("2.", "3.")):
        raise MissingPart(f"open_clip_torch {version} is not known here: pip install 'open_clip_torch[training]<4'")
    return module


if __name__ == "__main__":
    sys.exit(main())
