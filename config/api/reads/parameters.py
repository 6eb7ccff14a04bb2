"""The query string in, refused or taken, before the catalogue is read.

Unknown names, doubled names and NUL characters are 400 here; what a value means is the business of the class
that reads it (filters, pagination, projection).
"""

from collections.abc import Collection

from django.http import QueryDict

from config.api.problems.errors import InvalidParameter, UnknownParameter

# A value longer than this is no filter but an attack or a mistake; 200 SKUs of 100 letters fit.
GREATEST_LENGTH = 25_000


def check_parameters(query: QueryDict, known: Collection[str], prefixes: Collection[str] = ()) -> None:
    """Refuse what no part of the view reads; `prefixes` are the open families, like `attr.`."""
    for name, values in query.lists():
        if name not in known and not name.startswith(tuple(prefixes)):
            raise UnknownParameter(name, known)
        if len(values) > 1:
            raise InvalidParameter(name, "It is given more than once.", "Give it once; lists are parted by commas.")
        check_text(name, values[0])


def check_text(name: str, text: str) -> None:
    if "\0" in text:
        raise InvalidParameter(name, "It holds a NUL character, which no text may.")
    if len(text) > GREATEST_LENGTH:
        raise InvalidParameter(name, f"It is longer than {GREATEST_LENGTH} letters.")


def read_names(query: QueryDict, name: str) -> list[str]:
    """The words of a list parameter, in their order; empty when it isn't given."""
    return [word.strip() for word in query.get(name, "").split(",") if word.strip()]


def read_choice(query: QueryDict, name: str, choices: Collection[str]) -> str | None:
    value = query.get(name)
    if not value:
        return None
    if value not in choices:
        raise InvalidParameter(name, f"{value!r} is not one of {', '.join(choices)}.")
    return value


def read_number(query: QueryDict, name: str, default: int, least: int, most: int) -> int:
    """A whole number from `least` to `most`; a bad one is refused, not replaced by the default."""
    text = query.get(name)
    if not text:
        return default if text is None else _refuse_number(name, text, least, most)
    # Twelve digits at the most: int() of 20,000 digits takes its time or raises.
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
        return _refuse_number(name, text, least, most)
    return int(text)


def _refuse_number(name: str, text: str, least: int, most: int) -> int:
    raise InvalidParameter(name, f"{text[:20]!r} is no whole number from {least} to {most}.")
