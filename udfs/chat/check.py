"""Whether a chat server can be asked at all: found out in seconds, before anything is sent to it that costs money."""

import difflib
import http.client
import json
import re
import urllib.error
import urllib.request
from typing import Any

from lakehouse.errors import ModelFailed
from udfs.chat.reply import WITHOUT_IMAGES, judge, says_other_model
from udfs.chat.settings import ChatSettings
from udfs.chat.verdicts import Hopeless

_SECONDS = 10.0


def check_server(settings: ChatSettings) -> None:
    """Raise ModelFailed if an endpoint is not there, refuses the key, or says that the model is none that can answer.

    A list without the model says so, and one where the model takes no images that it would be shown. What keeps no list
    must at least refuse a request without messages, as a chat API does: a web server does not know the address.
    """
    model = settings.model
    for endpoint in settings.endpoints:
        listed = {row["id"]: row for row in _models(endpoint, settings.key())}
        if not listed:
            _check_api(endpoint, model, settings.key())
        if _is_missing(model, list(listed)):
            raise ModelFailed(f"{endpoint} has no model {model!r}{_what_there_is(model, list(listed))}")
        if settings.images and _is_blind(listed.get(model, {})):
            raise ModelFailed(f"{endpoint}: {model!r} cannot see images: {WITHOUT_IMAGES}")


def _is_missing(model: str, names: list[str]) -> bool:
    # transformers serve lists what it has downloaded, by name; a folder that it was started with is never there.
    is_folder = model.startswith(("/", ".", "~")) and not any(name.startswith("/") for name in names)
    return bool(names) and model not in names and not is_folder


def _what_there_is(model: str, names: list[str]) -> str:
    near = difflib.get_close_matches(model, names, n=1)
    return f": did you mean {near[0]!r}?" if near else f": it has {', '.join(names[:5])}"


def _is_blind(row: dict[str, Any]) -> bool:
    """Say whether a server's row about a model names what it takes, and no images among it (llama.cpp, gateways)."""
    architecture = row.get("architecture")
    taken = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    return isinstance(taken, list) and bool(taken) and "image" not in taken


def _models(endpoint: str, key: str | None) -> list[dict[str, Any]]:
    """Return what ``endpoint`` says of each of its models, by ``id`` at least; nothing where it keeps no list."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"{endpoint}/models", headers=headers)  # noqa: S310 # http or https, by the scheme
    try:
        with _OPENER.open(request, timeout=_SECONDS) as reply:
            listed = json.loads(reply.read(4 << 20))
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            verdict = judge(error.code, {}, error.read(1 << 16))
            assert isinstance(verdict, Hopeless)
            raise ModelFailed(f"{endpoint}: {verdict.message}") from error
        return []  # a list of models is a courtesy: some servers have none, or cannot make one offline
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            return []
        raise ModelFailed(f"no answer from {endpoint}: {getattr(error, 'reason', error)}") from error
    rows = listed.get("data") if isinstance(listed, dict) else None
    rows = rows if isinstance(rows, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _check_api(endpoint: str, model: str, key: str | None) -> None:
    """Raise ModelFailed if there is no chat API at ``endpoint``; a request without messages is refused, not billed."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    asked = json.dumps({"model": model}).encode()
    request = urllib.request.Request(f"{endpoint}/chat/completions", data=asked, headers=headers)  # noqa: S310 # as above
    try:
        status, body = _answer(request)
    except (OSError, ValueError, http.client.HTTPException):
        return  # busy, perhaps: whether it answers is seen when it is asked
    if status == 401:
        raise ModelFailed(f"{endpoint} refuses the key ({status})")
    if not _is_chat_api(status, body):
        raise ModelFailed(
            f"there is no chat API at {endpoint} ({status}): expected an address like http://HOST:PORT/v1"
        )


def _answer(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with _OPENER.open(request, timeout=_SECONDS) as reply:
            return reply.status, reply.read(1 << 16)
    except urllib.error.HTTPError as error:
        return error.code, error.read(1 << 16)


def _is_chat_api(status: int, body: bytes) -> bool:
    if 300 <= status < 400:
        return False
    if status in (404, 405, 501):
        return says_other_model(body)
    if status == 200:
        return not _fields(body).isdisjoint(("choices", "error"))
    # In JSON, or in plain words, as where a library reads the body: "missing field `messages`".
    return status not in (400, 415, 422) or bool(_fields(body)) or _OF_A_REQUEST.search(body) is not None


_OF_A_REQUEST = re.compile(rb"messages|model|field", re.IGNORECASE)


def _fields(body: bytes) -> set[str]:
    try:
        found = json.loads(body)
    except ValueError:
        return set()
    return set(found) if isinstance(found, dict) else set()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: a key must not travel to where a server points."""


_OPENER = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
