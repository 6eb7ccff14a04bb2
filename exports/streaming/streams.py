"""A query in, the blocks of a file for a client or a disk out. Memory holds one chunk and one block.

An exception passes through all stages, so that a failed body is cut and never ended: half a file must not look
complete.
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

# granian copies each block and queues four of them. A block for each row would take a system call for each row.
BLOCK_BYTES = 256 * 1024


def stream_rows(
    query: Query, after: int, tally: Tally, width: Callable[[], int], turn: Turn = read_at_once
) -> Iterator[bytes]:
    """The whole file in blocks of at most BLOCK_BYTES. `tally` counts what was written.

    `width()` chunks are read at once; `turn` calls the function that reads one.
    """
    return cut_blocks(encode_file(query, after, tally, width, turn))


def cut_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Each piece in blocks of about equal size. No block is empty, since that would end a chunked body."""
    for piece in pieces:
        number = -(-len(piece) // BLOCK_BYTES)
        for index in range(number):
            yield piece[len(piece) * index // number : len(piece) * (index + 1) // number]


def record_stream(blocks: Iterable[bytes], tally: Tally, name: str) -> Iterator[bytes]:
    """Write one log line at the end: `complete`, or `cut` if an error occurred or the client left."""
    began, status = time.monotonic(), "cut"
    try:
        yield from blocks
        status = "complete"
    except Exception:
        # The traceback is logged here, with the request id, which the server doesn't know.
        logger.exception("The export of %s failed after %d rows", name, tally.rows)
        raise
    finally:
        seconds = round(time.monotonic() - began, 3)
        figures = {"rows": tally.rows, "bytes": tally.size, "last_id": tally.last_id, "seconds": seconds}
        logger.info("export", extra={"export": name, "status": status, **figures})


class Body(Iterator[bytes]):
    """The response body for the server. Each step runs in the request's context, although the request has ended.

    The constructor reads the first block, so an error before it is still answered as an error.
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
        """The server calls this when the body is sent, or when the client has left before."""
        self.context.run(self.blocks.close)
