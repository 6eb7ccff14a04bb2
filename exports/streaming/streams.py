"""A query in, the blocks of a file for a client or a disk out; memory holds one chunk and one block.

An exception passes through every stage here, so the body is cut and never ended: half a file must not pass for a
whole one.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import copy_context

from exports.formats.tallies import Tally
from exports.rows.chunks import Query, Turn, read_at_once
from exports.rows.files import encode_file
from exports.streaming.hangups import ClientConnection

logger = logging.getLogger("tenfold.exports")

# granian copies each block and queues four of them; a block a row was a system call a row.
BLOCK_BYTES = 256 * 1024


def stream_rows(
    query: Query, after: int, tally: Tally, width: Callable[[], int], turn: Turn = read_at_once
) -> Iterator[bytes]:
    """The whole file in blocks of BLOCK_BYTES at the most; `tally` says how far it is.

    `width()` chunks are read at once, each when it is its `turn`.
    """
    return cut_blocks(encode_file(query, after, tally, width, turn))


def cut_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Each piece at once, in blocks of about one size; none is empty, which would end a chunked body."""
    for piece in pieces:
        number = -(-len(piece) // BLOCK_BYTES)
        for index in range(number):
            yield piece[len(piece) * index // number : len(piece) * (index + 1) // number]


def record_stream(blocks: Iterable[bytes], tally: Tally, name: str) -> Iterator[bytes]:
    """One log line at the end: `complete`, or `cut` by a fault of ours or by a client that leaves."""
    began, status = time.monotonic(), "cut"
    try:
        yield from blocks
        status = "complete"
    except Exception:
        # The server below knows no request id, so the traceback is written here.
        logger.exception("The export of %s failed after %d rows", name, tally.rows)
        raise
    finally:
        seconds = round(time.monotonic() - began, 3)
        figures = {"rows": tally.rows, "bytes": tally.size, "last_id": tally.last_id, "seconds": seconds}
        logger.info("export", extra={"export": name, "status": status, **figures})


class Body(Iterator[bytes]):
    """What the server reads: each step in the context of the request, whose own time is over by then.

    The first block is read at once, so that what fails before it is still answered as an error.
    """

    def __init__(self, blocks: Generator[bytes], connection: ClientConnection) -> None:
        self.blocks = blocks
        self.connection = connection
        self.context = copy_context()
        self.first: bytes | None = self.context.run(next, blocks, None)

    def __next__(self) -> bytes:
        block, self.first = self.first, None
        if block is None:
            block = self.read_next()
        self.connection.add(block)
        return block

    def read_next(self) -> bytes:
        try:
            return self.context.run(next, self.blocks)
        except StopIteration:
            raise
        except Exception:
            self.connection.cut()
            raise

    def close(self) -> None:
        """Called by the server when the body is sent, and when the client left before that."""
        self.context.run(self.blocks.close)
