"""What is promised of tags."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.tags import MAX_TAG_CHARS, normal_tag, tags_of

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.sampled_from(["tags", "keywords", "subject", "x"]), values),
)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("Duck", "duck"),
        (" ice \t cream ", "ice cream"),
        ("united_nations_member", "united nations member"),
        ('landscape"', "landscape"),
        ("#sunset!", "sunset"),
        ("\uff23\uff21\uff34", "cat"),
        ("c++", "c++"),
        ("re\u200bd", "red"),
        ("", None),
        (" -- ", None),
        ("♥", None),
        ("x" * MAX_TAG_CHARS, "x" * MAX_TAG_CHARS),
        ("x" * (MAX_TAG_CHARS + 1), None),
        ("x " * 1000, None),
    ],
)
def test_a_tag_has_one_normal_form(tag: str, expected: str | None) -> None:
    assert normal_tag(tag) == expected


@given(st.text(max_size=80))
def test_the_normal_form_of_a_normal_form_is_itself(tag: str) -> None:
    normal = normal_tag(tag)
    assert normal is None or normal_tag(normal) == normal


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ('{"tags": ["Duck", "farm"]}', ("duck", "farm")),
        ('{"keywords": "duck, farm; duck"}', ("duck", "farm")),
        ('{"subject": ["duck"], "tags": "farm"}', ("farm", "duck")),
        ({"tags": ("duck", None, 3, "farm")}, ("duck", "farm")),
        (["Duck", "", "duck"], ("duck",)),
        ('["duck"]', ("duck",)),
        (["hash", "HASH(0x85cd6ec)", "hash(0x8a3ec50", "0x8b754fc", "11", "duck"], ("duck",)),
        (["hash browns"], ("hash browns",)),
        ('{"title": "Duck"}', ()),
        ("duck, farm", ()),
        ("[" * 10_000, ()),
        (None, ()),
        ("", ()),
        ("7", ()),
    ],
)
def test_tags_are_found_wherever_metadata_hold_them(metadata: object, expected: tuple[str, ...]) -> None:
    assert tags_of(metadata) == expected


@given(_JSON)
def test_any_metadata_give_distinct_normal_tags(metadata: object) -> None:
    tags = tags_of(json.dumps(metadata))
    assert len(set(tags)) == len(tags)
    assert all(normal_tag(tag) == tag for tag in tags)
