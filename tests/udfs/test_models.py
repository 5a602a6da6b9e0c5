"""What is promised of models that are found by URI."""

import hashlib

import pytest

from lakehouse.errors import UnknownModel
from udfs.descriptions import parse_answer
from udfs.models import Desk, Reply, Request, load
from udfs.reasons import REASONS
from udfs.tasks import DESCRIBE


def _request(name: str, image: bytes | None = None) -> Request:
    ids = {"request_key": f"k-{name}", "sample_id": name, "image_id": f"i-{name}"}
    return Request(**ids, alt_text=f"a {name}", image=image, width=10, height=10)  # type: ignore[arg-type]


def _replies(uri: str, *requests: Request) -> list[Reply]:
    return [reply for _, reply in load(uri).describe(requests, Desk(task=DESCRIBE, prompt=""))]


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            "gpt://x",
            r"unknown model 'gpt://x': expected one of fake://, hf://, openai://, openai\+batch://, "
            r"openai\+batch\+http://, openai\+batch\+https://, openai\+http://, openai\+https://, rules://$",
        ),
        ("rule://", r"did you mean rules://\?"),
        ("rules", r"did you mean rules://\?"),
        ("", r"expected one of fake://, hf://, openai://, .*, openai\+http://, openai\+https://, rules://$"),
        ("rules://v2", r"'rules://v2': expected rules:// with nothing behind it"),
        ("fake://ecco", r"expected one of fake://broken, fake://echo, fake://fails, fake://identity"),
    ],
)
def test_an_unknown_model_names_those_there_are(uri: str, message: str) -> None:
    with pytest.raises(UnknownModel, match=message):
        load(uri)


@pytest.mark.parametrize("uri", ["rules://", "fake://broken", "fake://echo", "fake://fails", "fake://identity"])
def test_every_request_gets_an_answer_or_a_known_reason(uri: str) -> None:
    replies = _replies(uri, _request("duck", b"x"), _request("owl"), _request("duck", b"y"))
    assert len(replies) == 3
    assert all((reply.answer is None) == (reply.reason in REASONS) for reply in replies)


def test_no_requests_get_no_replies() -> None:
    assert _replies("rules://") == []


def test_replies_keep_the_order_of_requests() -> None:
    replies = _replies("fake://echo", _request("duck"), _request("owl"))
    assert [parse_answer(reply.answer).long_positive for reply in replies] == ["Shown: a duck", "Shown: a owl"]


def test_the_identity_model_answers_the_hash_of_the_image_it_got() -> None:
    [reply] = _replies("fake://identity", _request("duck", b"pixels"))
    assert load("fake://identity").needs_image
    assert parse_answer(reply.answer).long_positive == hashlib.sha256(b"pixels").hexdigest()


def test_the_broken_model_answers_without_json() -> None:
    assert parse_answer(_replies("fake://broken", _request("duck"))[0].answer).reason == "not_json"
