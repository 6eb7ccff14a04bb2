"""Checks the query string before the first query of rows.

Unknown names, repeated names, blank values and NUL characters are 400 here. The class that reads a value (filter,
pagination, projection) checks the rest.
"""

from collections.abc import Collection

from django.http import QueryDict

from config.api.problems.errors import InvalidParameter, UnknownParameter

# Characters. 200 SKUs of 100 characters fit. A longer value is a mistake or an attack.
GREATEST_LENGTH = 25_000


# Of a list. Left out in silence, it might be the value that was meant.
EMPTY_VALUE = "It has an empty value: a comma too many."

# The parameters of a selection. Their values are lists of names.
WORD_LISTS = ("fields", "omit", "expand")


def check_parameters(
    query: QueryDict,
    known: Collection[str],
    prefixes: Collection[str] = (),
    lists: Collection[str] = WORD_LISTS,
) -> None:
    """Raise UnknownParameter or InvalidParameter unless the view knows all parameters and their values are well formed.

    `prefixes` are the beginnings of names that aren't known in advance, such as `attr.`. These, and a name in `lists`,
    may be repeated: their values are then one list, as if commas stood between them.
    """
    families = tuple(prefixes)
    if unknown := [name for name in query if name not in known and not name.startswith(families)]:
        raise UnknownParameter(unknown, known)
    for name, values in query.lists():
        if len(values) > 1 and name not in lists and not name.startswith(families):
            raise InvalidParameter(name, "It is given more than once.", "It takes one value: give it once.")
        for value in values:
            check_text(name, value)


def check_text(name: str, text: str) -> None:
    if text.isspace():
        raise InvalidParameter(name, "It has nothing but blanks.", "Give it a value, or leave it out.")
    if "\0" in text:
        raise InvalidParameter(name, "It has a NUL character, which no text may have.")
    if len(text) > GREATEST_LENGTH:
        raise InvalidParameter(name, f"It has more than {GREATEST_LENGTH} characters.")


def read_names(query: QueryDict, name: str) -> list[str]:
    """The words of a parameter that is repeated, comma-separated, or both; [] if it isn't given, or empty."""
    words = [word.strip() for text in query.getlist(name) if text for word in text.split(",")]
    if "" in words:
        raise InvalidParameter(name, EMPTY_VALUE)
    return words


def read_choice(query: QueryDict, name: str, choices: Collection[str]) -> str | None:
    value = query.get(name)
    if not value:
        return None
    if value not in choices:
        raise InvalidParameter(name, f"{value!r} is not one of {', '.join(choices)}.")
    return value


def read_number(query: QueryDict, name: str, default: int, least: int, most: int) -> int:
    """A whole number from `least` to `most`. `default` is for a missing parameter; an invalid value is a 400."""
    text = query.get(name)
    if not text:
        return default if text is None else _refuse_number(name, text, least, most)
    # At most twelve digits: int() of 20,000 digits is slow, or raises.
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
        return _refuse_number(name, text, least, most)
    return int(text)


def _refuse_number(name: str, text: str, least: int, most: int) -> int:
    raise InvalidParameter(name, f"{text[:20]!r} is not a whole number from {least} to {most}.")
