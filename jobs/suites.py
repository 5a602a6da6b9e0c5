"""What evaluate_clip measures a checkpoint by: suites of the release's held-out pairs, and suites that others made."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobs.subject import Subject
from lakehouse.errors import BadInput
from lakehouse.small_rows import read_rows
from schemas.gold import TAGS, TEXTS
from udfs.audit import LENGTHS, Metric
from udfs.clip.labelled_images import read_labelled
from udfs.clip.suite_files import (
    HardNegative,
    digest_of,
    found_images,
    read_captions,
    read_files,
    read_hard_negatives,
    read_winoground,
)
from udfs.words import one_text

if TYPE_CHECKING:
    from udfs.clip.encoder import Features
NEGATIVES: Final = tuple(f"{length}_{side}" for length in LENGTHS for side in ("positive", "negative"))


@dataclass(frozen=True)
class Suite:
    """Something to be measured by: what it is called in gold.evaluations, and the measuring, done only if need be."""

    dataset: str
    measure: Callable[[], Sequence[Metric]]


def text_columns(given: str) -> tuple[str, ...]:
    """Return the columns named in ``given``, with commas between; raise BadInput for one that holds no text."""
    names = tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    for name in names:
        if name not in TEXTS:
            raise BadInput(f"unknown text column {name!r}: expected one of {', '.join(TEXTS)}")
    return names


def captioned(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[int, list[str]]:
    """Return, for the first place of each image, all the texts that ``columns`` have of it; none of an image without.

    Lists of tags are joined. Rows of one image, which differ in their alt-text, come together.
    """
    first: dict[str, int] = {}
    found: dict[int, list[str]] = {}
    for place, row in enumerate(rows):
        texts = [one_text(row[column]) for column in columns if row[column] is not None]
        own = [text for text in texts if text.strip()]
        if own:
            found.setdefault(first.setdefault(row["image_id"], place), []).extend(own)
    if not found:
        raise BadInput(f"no held-out row has a text in {', '.join(columns)}")
    return found


def caption_suite(subject: Subject, columns: Sequence[str]) -> Suite:
    """Retrieval among held-out images by the texts of ``columns``, several an image."""

    def measure() -> Sequence[Metric]:
        from udfs.clip.suites import caption_metrics

        captions = captioned(subject.held_out.rows, columns)
        owner = [place for place, own in enumerate(captions.values()) for _ in own]
        texts = subject.encoder.texts([text for own in captions.values() for text in own])
        return caption_metrics(subject.held_out.features[list(captions)], texts, owner)

    return Suite(subject.dataset("+".join(columns)), measure)


def negative_suite(subject: Subject) -> Suite:
    """Each held-out image with its long and short positive, and with its negatives."""

    def measure() -> Sequence[Metric]:
        from udfs.clip.encoder import Features
        from udfs.clip.suites import hard_negative_metrics

        rows = subject.held_out.rows
        kinds = {length: list(_negatives(rows, length)) for length in LENGTHS}
        if not any(kinds.values()):
            raise BadInput(f"no held-out row of {subject.release!r} has a positive and a negative text")
        images = Features(subject.held_out.features, {row["image_id"]: place for place, row in enumerate(rows)})
        return hard_negative_metrics(kinds, images, _texts_of(subject, kinds))

    return Suite(subject.dataset("hard_negatives"), measure)


def _negatives(rows: Sequence[dict[str, Any]], length: str) -> Iterator[HardNegative]:
    for row in rows:
        true, false = (one_text(row[f"{length}_{side}"]) for side in ("positive", "negative"))
        if true.strip() and false.strip():
            yield HardNegative(row["image_id"], true, false)


def _texts_of(subject: Subject, kinds: dict[str, list[HardNegative]]) -> "Features":
    return subject.encoder.named_texts(text for own in kinds.values() for row in own for text in (row.true, row.false))


@dataclass(frozen=True)
class Tagged:
    """Classes that are the most frequent tags of a vocabulary, and the places of rows that carry one of them alone."""

    classes: tuple[str, ...]
    labels: dict[int, int]


def tagged(subject: Subject, most: int) -> Tagged:
    """Return the held-out rows that carry one, and only one, of the ``most`` frequent tags of the release."""
    own = [row for row in read_rows(subject.root, TAGS) if row["vocabulary"] == subject.line.vocabulary]
    classes = [row["tag"] for row in sorted(own, key=lambda row: row["tag_id"])[:most]]
    if len(classes) < 2:
        raise BadInput(f"release {subject.release!r} has {len(classes)} tags to choose from: expected two at least")
    carried = ([tag for tag in row["tag_ids"] if tag < len(classes)] for row in subject.held_out.rows)
    labels = {place: tags[0] for place, tags in enumerate(carried) if len(tags) == 1}
    if not labels:
        raise BadInput(f"no held-out row has one of the {len(classes)} most frequent tags alone: try another number")
    return Tagged(tuple(classes), labels)


def tag_suite(subject: Subject, most: int, templates: Sequence[str]) -> Suite:
    """Zero-shot classification of held-out images into the most frequent tags."""

    def measure() -> Sequence[Metric]:
        from udfs.clip.suites import class_metrics
        from udfs.clip.zero_shot import class_features

        found = tagged(subject, most)
        classes, places = class_features(subject.encoder.texts, found.classes, templates), list(found.labels)
        images = [subject.held_out.rows[place]["image_id"] for place in places]
        return class_metrics(subject.held_out.features[places], classes, list(found.labels.values()), images=images)

    told = hashlib.sha256("\n".join(templates).encode()).hexdigest()[:12]
    return Suite(subject.dataset(f"{most}_tags", told), measure)


def zero_shot_suite(
    subject: Subject, path: Path, templates: Sequence[str], *, image_column: str, label_column: str
) -> Suite:
    """Zero-shot classification of the images at ``path``."""
    given = read_labelled(path, image_column=image_column, label_column=label_column)

    def measure() -> Sequence[Metric]:
        from udfs.clip.pixels import embed_foreign
        from udfs.clip.suites import class_metrics
        from udfs.clip.zero_shot import class_features

        images = embed_foreign(subject.encoder, given.read())
        classes = class_features(subject.encoder.texts, given.classes, templates)
        return class_metrics(images.values, classes, [given.labels[name] for name in images.places])

    told = hashlib.sha256("\n".join([given.digest, *templates]).encode()).hexdigest()[:12]
    return Suite(f"zero_shot/{path.resolve().name}/{told}", measure)


def caption_file_suite(subject: Subject, file: Path, images: str) -> Suite:
    """Retrieval between images and their captions in a JSON file."""
    given, folder = read_captions(file), image_folder(file, images)
    captions: dict[str, list[str]] = {}
    for name, path in found_images(folder, given).items():
        captions.setdefault(path, []).extend(given[name])

    def measure() -> Sequence[Metric]:
        from udfs.clip.pixels import embed_foreign
        from udfs.clip.suites import caption_metrics

        seen = embed_foreign(subject.encoder, read_files(folder, captions))
        own = [captions[path] for path in seen.places]
        owner = [place for place, texts in enumerate(own) for _ in texts]
        return caption_metrics(seen.values, subject.encoder.texts([text for texts in own for text in texts]), owner)

    digest = digest_of(folder, captions, repr(given))
    return Suite(f"captions/{file.stem}/{digest}", measure)


def sugarcrepe_suite(subject: Subject, path: Path, images: str) -> Suite:
    """Images with a true and a false caption each, in SugarCrepe's JSON."""
    kinds, folder = read_hard_negatives(path), image_folder(path, images)
    files = found_images(folder, (row.image for own in kinds.values() for row in own))

    def measure() -> Sequence[Metric]:
        from udfs.clip.encoder import Features
        from udfs.clip.pixels import embed_foreign
        from udfs.clip.suites import hard_negative_metrics

        seen = embed_foreign(subject.encoder, read_files(folder, dict.fromkeys(files.values())))
        places = {name: seen.places[file] for name, file in files.items() if file in seen.places}
        there = {kind: [row for row in own if row.image in places] for kind, own in kinds.items()}
        return hard_negative_metrics(there, Features(seen.values, places), _texts_of(subject, there))

    return Suite(f"sugarcrepe/{path.resolve().stem}/{digest_of(folder, set(files.values()), repr(kinds))}", measure)


def winoground_suite(subject: Subject, path: Path, images: str) -> Suite:
    """Two images and two captions each, in Winoground's JSON lines."""
    examples, folder = read_winoground(path), image_folder(path, images)
    files = found_images(folder, (name for one in examples for name in one.images))

    def measure() -> Sequence[Metric]:
        from udfs.clip.pixels import embed_foreign
        from udfs.clip.suites import winoground_metrics

        seen = embed_foreign(subject.encoder, read_files(folder, dict.fromkeys(files.values())))
        there = [one for one in examples if all(files[name] in seen.places for name in one.images)]
        width = seen.values.shape[1]
        pixels = seen.of([files[name] for one in there for name in one.images]).view(-1, 2, width)
        texts = subject.encoder.texts([text for one in there for text in one.texts]).view(-1, 2, width)
        return winoground_metrics(pixels, texts)

    return Suite(f"winoground/{path.resolve().stem}/{digest_of(folder, set(files.values()), repr(examples))}", measure)


def image_folder(path: Path, images: str) -> Path:
    """Return where the images of the suite at ``path`` are: as told, or beside it, in ``images`` if that is there."""
    if images:
        return Path(images)
    folder = path if path.is_dir() else path.parent
    return folder / "images" if (folder / "images").is_dir() else folder
