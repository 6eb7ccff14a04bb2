"""Batches and an encoder in, chunks for a client or a file out; memory holds one batch and one chunk.

An exception passes through every stage here, so the body is cut and never ended: half a file must not pass for a
whole one.
"""

import logging
import time
import zlib
from collections.abc import Iterable, Iterator
from contextvars import copy_context
from functools import partial

from exports.encoders import Encoder
from exports.hangups import Line
from exports.rows import Batch, Source, read_batches
from exports.tallies import Tally

logger = logging.getLogger("tenfold.exports")

# granian copies each chunk and queues four of them; a chunk a row was a system call a row.
CHUNK_BYTES = 256 * 1024

# 3.1x at 40 MB/s; the serializers, at 10,000 rows and 6 MB/s, are what a client waits for.
GZIP_LEVEL = 6
# 16 + the window: one gzip header and one trailer around all chunks. Several members in a body break curl and Chrome.
GZIP_WINDOW = 16 + zlib.MAX_WBITS


def stream_rows(source: Source, encoder: Encoder, tally: Tally) -> Iterator[bytes]:
    """The whole file in chunks of CHUNK_BYTES, the last one shorter; `tally` says how far it is."""
    return join_pieces(encode_pieces(source, encoder, tally))


def encode_pieces(source: Source, encoder: Encoder, tally: Tally) -> Iterator[bytes]:
    """A piece a batch; the end of the file comes only after every batch came."""
    tally.last_id = source.after
    begin = encoder.begin_file()
    tally.add(begin)
    yield begin
    # By map(), since a loop's variable would hold each batch while the next one is read.
    yield from map(partial(encode_batch, encoder, tally), read_batches(source))
    yield encoder.finish_file(tally)


def encode_batch(encoder: Encoder, tally: Tally, batch: Batch) -> bytes:
    piece = encoder.encode_rows(batch.rows)
    tally.add(piece, len(batch.rows))
    tally.last_id = batch.last_id
    return piece


def join_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of any size as chunks of CHUNK_BYTES."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting[:CHUNK_BYTES])
            del waiting[:CHUNK_BYTES]
    if waiting:
        yield bytes(waiting)


def compress_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """One gzip member; each chunk is flushed, so that a client can read all that was sent."""
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    for chunk in chunks:
        yield packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush(zlib.Z_FINISH)


def record_stream(chunks: Iterable[bytes], tally: Tally, name: str) -> Iterator[bytes]:
    """One log line at the end: `complete`, or `cut` by a fault of ours or by a client that leaves."""
    began, status = time.monotonic(), "cut"
    try:
        yield from chunks
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

    The first chunk is read at once, so that what fails before it is still answered as an error.
    """

    def __init__(self, chunks: Iterator[bytes], line: Line) -> None:
        self.chunks = chunks
        self.line = line
        self.context = copy_context()
        self.first = next(chunks, None)

    def __next__(self) -> bytes:
        chunk, self.first = self.first, None
        if chunk is None:
            chunk = self.read_next()
        self.line.add(chunk)
        return chunk

    def read_next(self) -> bytes:
        try:
            return self.context.run(next, self.chunks)
        except StopIteration:
            raise
        except Exception:
            self.line.cut()
            raise

    def close(self) -> None:
        """Called by the server when the body is sent, and when the client left before that."""
        if close := getattr(self.chunks, "close", None):
            self.context.run(close)


def accepts_gzip(header: str) -> bool:
    """What `Accept-Encoding` says of gzip: `gzip;q=0` refuses it, `*` takes it."""
    weights = dict(read_coding(part) for part in header.lower().split(","))
    return weights.get("gzip", weights.get("*", 0)) > 0


def read_coding(part: str) -> tuple[str, float]:
    name, _, weight = part.replace(" ", "").partition(";q=")
    try:
        return name, float(weight or 1)
    except ValueError:
        return name, 0
