"""Turn a frozen dataclass into a command line: a field is a flag, its annotation is the help."""

import argparse
import difflib
import math
import re
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from itertools import takewhile
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from lakehouse.errors import BadInput

POSITIONAL = "positional"
"""Stands in a field's annotation, after the help, when the value comes without a flag."""


@dataclass(frozen=True)
class Range:
    """Stands in a number's annotation, after the help: which values are accepted, and how to say so."""

    accepts: Callable[[float], bool]
    expected: str


POSITIVE = Range(lambda number: 0 < number < math.inf, "more than 0")
FROM_ZERO = Range(lambda number: 0 <= number < math.inf, "0 or more")
SHARE = Range(lambda number: 0 <= number <= 1, "a number from 0 to 1")

C = TypeVar("C")


def parse(config_class: type[C], argv: Sequence[str] | None, *, prog: str) -> C:
    """Return a ``config_class`` filled from ``argv``; exit with 2 and one line on a bad flag or value."""
    parser = _Parser(prog=prog, description=(config_class.__doc__ or "").strip(), allow_abbrev=False)
    hints = get_type_hints(config_class, include_extras=True)
    for field in fields(config_class):  # type: ignore[arg-type]
        _add(parser, field, hints[field.name])
    values = vars(parser.parse_args(argv))
    config = config_class(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
    try:
        check_ranges(config)
    except BadInput as error:
        parser.error(str(error))
    return config


def check_ranges(config: object) -> None:
    """Raise BadInput for a number outside the Range of its field: a limit of nothing must not do nothing at length."""
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        value = getattr(config, name)
        for note in getattr(hint, "__metadata__", ()):
            if isinstance(note, Range) and value is not None and not note.accepts(value):
                raise BadInput(f"bad --{name.replace('_', '-')} {value}: expected {note.expected}")


def check_name(flag: str, name: str) -> None:
    """Raise BadInput unless ``name``, given with ``flag``, may be the name of a file or folder as it stands."""
    if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name):
        raise BadInput(f"bad {flag} {name!r}: expected letters, digits, dots, dashes and underscores")


def _add(parser: argparse.ArgumentParser, field: "Field[Any]", hint: Any) -> None:
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
    flag = field.name if POSITIONAL in notes else "--" + field.name.replace("_", "-")
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    shown = "" if default in (MISSING, None, "", ()) else f" (default: {default})"
    options: dict[str, Any] = {"help": (notes[0] + shown).replace("%", "%%")}
    if default is not MISSING:
        options["default"] = default
    elif POSITIONAL not in notes:
        options["required"] = True
    if kind is str and default != "":
        options["type"] = _given
    parser.add_argument(flag, **{**_type_options(kind), **options})


def _type_options(kind: Any) -> dict[str, Any]:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(kind) is tuple:
        return {"nargs": "*", "type": get_args(kind)[0]}
    return {"type": kind}


def _given(text: str) -> str:
    """Return ``text``; refuse a blank one: an unset variable of a shell must not mean the working folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a value, not an empty text")
    return text


class _Parser(argparse.ArgumentParser):
    """Argparse, with a suggestion where a flag is nearly right and no usage text over the error."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._check_flags(sys.argv[1:] if args is None else args)
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown[0]))
        return known

    def _check_flags(self, args: Sequence[str]) -> None:
        # Before argparse does: of a misspelt flag that is required it would only say that it is missing.
        flags = (one for one in takewhile(lambda one: one != "--", args) if one.startswith("--") and " " not in one)
        for flag in flags:
            if flag.split("=")[0] not in self._option_string_actions:
                self.error(self._unknown(flag))

    def _unknown(self, flag: str) -> str:
        flags = [name for name in self._option_string_actions if name.startswith("--")]
        near = difflib.get_close_matches(flag.split("=")[0], flags, n=1)
        return f"unknown argument {flag!r}" + (f": did you mean {near[0]}?" if near else ": see --help")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")
