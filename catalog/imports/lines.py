"""Bytes of a text in, its lines out, each with its number. A line that is too long is an error, and is skipped."""

from collections import deque
from collections.abc import Iterator
from io import TextIOWrapper
from typing import IO

# The most characters of a line. Real lines are much shorter; a file without line ends must not fill the memory.
MOST_LINE = 4_194_304
# The first lines that tell a file's separator and header. Together they have at most MOST_LINE characters.
FIRST_LINES = 30


class LineTooLong(Exception):
    """A line has more than MOST_LINE characters. The rest of the line was skipped."""


class Lines(Iterator[str]):
    """The lines of a text and the number of the last one read.

    Bytes that aren't UTF-8 become surrogates; reading their cell's value gives the error. (A file of an import has been
    checked before, so this is for whoever reads a file that changes.)
    """

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
        self.file = TextIOWrapper(stream, encoding, errors=errors, newline="")
        self.number = 0
        self.waiting: deque[str] = deque()

    def peek(self) -> list[str]:
        """The first lines, which stay to be read. A line that is too long ends the list."""
        most = MOST_LINE
        while len(self.waiting) < FIRST_LINES and most > 0 and (line := self.file.readline(MOST_LINE)):
            self.waiting.append(line)
            most -= len(line)
        return list(self.waiting)

    def skip_blank(self) -> None:
        """Skip blank lines above the first row."""
        while (first := self.peek()) and not first[0].strip(" \t\r\n\ufeff,;|"):
            self.skip(1)

    def skip(self, count: int) -> None:
        for _ in range(count):
            self.waiting.popleft()
            self.number += 1

    def __next__(self) -> str:
        line = self.waiting.popleft() if self.waiting else self.file.readline(MOST_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) < MOST_LINE or line.endswith("\n"):
            return line
        while (rest := self.waiting.popleft() if self.waiting else self.file.readline(MOST_LINE)) and not rest.endswith(
            "\n"
        ):
            pass
        raise LineTooLong(f"a line has more than {MOST_LINE:,} characters")

    def read(self, size: int) -> str:
        """Characters without regard to lines, for JSON."""
        return self.waiting.popleft() if self.waiting else self.file.read(size)
