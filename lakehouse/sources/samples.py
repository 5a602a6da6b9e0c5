"""Group the members of a WebDataset tar into samples: one row a key, and one for everything that is no sample."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lakehouse.sources.captions import read_sidecars
from lakehouse.sources.columns import Columns
from lakehouse.sources.names import IMAGE_ENDINGS, OTHER_IMAGES, is_hidden, is_unsafe, split_key
from lakehouse.sources.source_row import Limits, SourceRow, pair_of
from lakehouse.sources.tar import Cut, Member, Stream, read_members

_TEXTS = ("txt", "json")
# A key may have millions of members: what is held of those that are not read has an end.
_TOLD = 8


def read_samples(stream: Stream, *, tar: str, limits: Limits, columns: Columns) -> Iterator[SourceRow]:
    """Yield the samples of the tar ``tar`` in order, read in one pass; hold one sample and the keys at a time.

    As in WebDataset, the members of a sample stand next to each other. A sample that the tar's end cuts is a reject
    ``truncated_source``; with its image and text complete, and the cut after them, it is kept.
    """
    seen: set[str] = set()
    open_sample: _Sample | None = None
    for item in read_members(stream, limit=lambda name: _limit(name, limits)):
        if isinstance(item, Cut):
            yield from _at_the_cut(open_sample, item, seen, tar, columns)
            return
        name = item.name.removeprefix("./")
        if is_unsafe(name) or item.kind != "file":
            yield SourceRow.rejected(f"{tar}/{name}@{item.offset}", "unsafe_name", _unsafe_detail(item))
            continue
        key, part = split_key(name)
        if any(is_hidden(folder) for folder in name.split("/")) or not part:
            continue
        if open_sample is None or open_sample.key != key:
            if open_sample is not None:
                yield from open_sample.rows(tar, columns)
            open_sample = _Sample(key, item.offset, is_repeated=key in seen)
            seen.add(key)
        if not open_sample.is_repeated and not open_sample.add(part, item):
            detail = "a second member of this kind under one key"
            yield SourceRow.rejected(f"{tar}/{item.name}@{item.offset}", "duplicate_key", detail)
    if open_sample is not None:
        yield from open_sample.rows(tar, columns)


@dataclass(slots=True)
class _Sample:
    key: str
    offset: int
    is_repeated: bool
    image: Member | None = None
    texts: dict[str, Member] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def add(self, part: str, member: Member) -> bool:
        """Keep the member if it is of use; say False of a second image, or of a second text of one kind."""
        if part in IMAGE_ENDINGS and self.image is None:
            self.image = member
        elif part in _TEXTS and part not in self.texts:
            self.texts[part] = member
        elif part in (*IMAGE_ENDINGS, *_TEXTS):
            return False
        elif part.rpartition(".")[2] in (*IMAGE_ENDINGS, *OTHER_IMAGES) and len(self.others) < _TOLD:
            self.others.append(part)
        return True

    @property
    def is_pair(self) -> bool:
        return self.image is not None and bool(self.texts)

    def rows(self, tar: str, columns: Columns) -> Iterator[SourceRow]:
        """Yield the sample, if these members make one."""
        uid = f"{tar}/{self.key}"
        if self.is_repeated:
            detail = "the key came before: the members of a sample stand next to each other"
            yield SourceRow.rejected(f"{uid}@{self.offset}", "duplicate_key", detail)
            return
        large = next((member for member in (self.image, *self.texts.values()) if member and member.data is None), None)
        if large is not None:
            yield SourceRow.rejected(uid, "too_many_bytes", f"{large.name.rpartition('/')[2]!r} has {large.size} bytes")
        elif self.image is None and any(part in OTHER_IMAGES for part in self.others):
            detail = f"read are {', '.join(IMAGE_ENDINGS)}, not {', '.join(self.others)}"
            yield SourceRow.rejected(uid, "not_an_image", detail)
        elif self.image or self.texts:
            yield self._pair(uid, columns)
        elif any(part.rpartition(".")[2] in IMAGE_ENDINGS for part in self.others):
            detail = f"no image among {', '.join(self.others)}: a key ends at the first dot of the name"
            yield SourceRow.rejected(uid, "missing_image", detail)

    def _pair(self, uid: str, columns: Columns) -> SourceRow:
        texts = {part: member.data for part, member in self.texts.items()}
        caption = read_sidecars(text=texts.get("txt"), record=texts.get("json"), columns=columns)
        return pair_of(uid, self.image.data if self.image else None, caption)


def _at_the_cut(sample: _Sample | None, cut: Cut, seen: set[str], tar: str, columns: Columns) -> Iterator[SourceRow]:
    key = split_key(cut.name.removeprefix("./"))[0] if cut.name else None
    if sample is not None:
        is_cut = key == sample.key if key is not None else not sample.is_pair
        if is_cut and not sample.is_repeated:
            yield SourceRow.rejected(f"{tar}/{sample.key}", "truncated_source", cut.detail)
            return
        yield from sample.rows(tar, columns)
    is_new = key is not None and key not in seen and not is_unsafe(key)
    uid = f"{tar}/{key}" if is_new else f"{tar}@{cut.offset}"
    yield SourceRow.rejected(uid, "truncated_source", cut.detail)


def _limit(name: str, limits: Limits) -> int:
    part = split_key(name)[1]
    if part in IMAGE_ENDINGS:
        return limits.member_bytes
    return limits.text_bytes if part in _TEXTS else 0


def _unsafe_detail(member: Member) -> str:
    return f"a {member.kind}" if member.kind != "file" else "an absolute name or one with '..'"
