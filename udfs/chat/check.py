"""Whether a chat server can be asked at all: found out in seconds, before anything is sent to it that costs money."""

import difflib
import json
import urllib.error
import urllib.request

from lakehouse.errors import ModelFailed
from udfs.chat.reply import judge
from udfs.chat.settings import ChatSettings
from udfs.chat.verdicts import Hopeless

_SECONDS = 10.0


def check_server(settings: ChatSettings) -> None:
    """Raise ModelFailed if an endpoint is not there, refuses the key, or does not list the model."""
    for endpoint in settings.endpoints:
        models = _models(endpoint, settings.key())
        if models and settings.model not in models:
            near = difflib.get_close_matches(settings.model, models, n=1)
            guess = f": did you mean {near[0]!r}?" if near else f": it has {', '.join(models[:5])}"
            raise ModelFailed(f"{endpoint} has no model {settings.model!r}{guess}")


def _models(endpoint: str, key: str | None) -> list[str]:
    """Return the names of the models that ``endpoint`` lists; none where it keeps no list."""
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
    except (OSError, ValueError) as error:
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            return []
        raise ModelFailed(f"no answer from {endpoint}: {getattr(error, 'reason', error)}") from error
    rows = listed.get("data") if isinstance(listed, dict) else None
    return [row["id"] for row in rows or [] if isinstance(row, dict) and isinstance(row.get("id"), str)]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: a key must not travel to where a server points."""


_OPENER = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
