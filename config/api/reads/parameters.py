"""Checks the query string before anything reads the catalogue.

Unknown names, repeated names, blank values and NUL characters are 400 here. The class that reads a value checks what
it means (filters, pagination, projection).
"""

from collections.abc import Collection

from django.http import QueryDict

from config.api.problems.errors import InvalidParameter, UnknownParameter

# Characters. A longer value is an attack or a mistake; 200 SKUs of 100 letters fit.
GREATEST_LENGTH = 25_000


# Those of a selection.
WORD_LISTS = ("fields", "omit", "expand")


def check_parameters(
    query: QueryDict,
    known: Collection[str],
    prefixes: Collection[str] = (),
    lists: Collection[str] = WORD_LISTS,
) -> None:
    """Refuse parameters that the view doesn't know; `prefixes` begin names that nobody can list, like `attr.`.

    A name among `lists` may be repeated: its values are one list, as if commas stood between them.
    """
    if unknown := [name for name in query if name not in known and not name.startswith(tuple(prefixes))]:
        raise UnknownParameter(unknown, known)
    for name, values in query.lists():
        if len(values) > 1 and name not in lists:
            raise InvalidParameter(name, "It is given more than once.", "It takes one value: give it once.")
        for value in values:
            check_text(name, value)


def check_text(name: str, text: str) -> None:
    if text.isspace():
        raise InvalidParameter(name, "It holds nothing but blanks.", "Give it a value, or leave it out.")
    if "\0" in text:
        raise InvalidParameter(name, "It holds a NUL character, which no text may.")
    if len(text) > GREATEST_LENGTH:
        raise InvalidParameter(name, f"It is longer than {GREATEST_LENGTH} letters.")


def read_names(query: QueryDict, name: str) -> list[str]:
    """The words of a parameter that is a list, in their order: repeated, comma-separated, or both; [] if not given."""
    words = (word.strip() for text in query.getlist(name) for word in text.split(","))
    return [word for word in words if word]


def read_choice(query: QueryDict, name: str, choices: Collection[str]) -> str | None:
    value = query.get(name)
    if not value:
        return None
    if value not in choices:
        raise InvalidParameter(name, f"{value!r} is not one of {', '.join(choices)}.")
    return value


def read_number(query: QueryDict, name: str, default: int, least: int, most: int) -> int:
    """A whole number from `least` to `most`; another value is a 400, and never replaced by the default."""
    text = query.get(name)
    if not text:
        return default if text is None else _refuse_number(name, text, least, most)
    # At most twelve digits: int() of 20,000 digits is slow, or raises.
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
        return _refuse_number(name, text, least, most)
    return int(text)


def _refuse_number(name: str, text: str, least: int, most: int) -> int:
    raise InvalidParameter(name, f"{text[:20]!r} is no whole number from {least} to {most}.")
