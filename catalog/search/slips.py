"""Slips of the pen: one in a word of four letters or more, two from eight letters on.

A slip is a letter too many, too few or another one, or two neighbours in the wrong order. Two words are at most n slips
apart only if they become the same word by leaving out at most n letters of each. So each known word is stored under
what it becomes, and a search looks for what the asked word becomes: it reads a few rows however many words there are.
"""

from collections.abc import Iterator
from itertools import combinations

# Only the first letters are left out: 29 rows a word at most. Words that differ further behind become the same.
FIRST_LETTERS = 7
SHORTEST, LONGER = 4, 8
LONGEST = 40


def count_allowed(word: str) -> int:
    """The slips that a known word forgives."""
    return 0 if len(word) < SHORTEST else 1 if len(word) < LONGER else 2


def list_stored(word: str) -> set[str]:
    """What a known word is stored under; nothing for a word that forgives nothing."""
    return set(leave_out(word, count_allowed(word))) if count_allowed(word) else set()


def list_asked(word: str) -> set[str]:
    """What an asked word is looked for under: with its slips it may be shorter than the word that was meant."""
    return set(leave_out(word, 2 if len(word) >= LONGER - 2 else 1))


def leave_out(word: str, most: int) -> Iterator[str]:
    beginning = word[:FIRST_LETTERS]
    for left in range(max(len(beginning) - most, 0), len(beginning) + 1):
        yield from map("".join, combinations(beginning, left))


def count_slips(first: str, second: str, most: int) -> int:
    """The least number of slips that make one word of the other; most + 1 if it takes more than `most`."""
    if abs(len(first) - len(second)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(second) + 1))
    for place, letter in enumerate(first, 1):
        earlier, before, row = before, row, [place]
        for column, other in enumerate(second, 1):
            least = min(before[column] + 1, row[column - 1] + 1, before[column - 1] + (letter != other))
            if earlier and column > 1 and letter == second[column - 2] and first[place - 2] == other:
                least = min(least, earlier[column - 2] + 1)
            row.append(least)
    return min(row[-1], most + 1)
