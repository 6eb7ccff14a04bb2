"""A query in, its whole file out, a piece at a time: the beginning, each chunk of rows, the end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from catalog.changes.feed import read_cursor
from config.api.database.wal_positions import read_written_position
from exports.formats.tallies import Tally
from exports.rows.chunks import Chunk, Query, Turn, find_ends, read_chunks


def encode_file(query: Query, after: int, tally: Tally, width: Callable[[], int], turn: Turn) -> Iterator[bytes]:
    """The beginning, a piece a chunk, and the end only after every chunk came."""
    # Before the first row is read, or a change that comes between would be in neither.
    cursor = read_cursor() if query.resource.is_followed else None
    # No replica that lacks what stands before the cursor, also where the primary goes away meanwhile.
    query = replace(query, least=read_written_position())
    _, end = find_ends(query)
    tally.last_id = after
    begin = query.format.begin_file(query.columns)
    tally.add(begin)
    yield begin
    # By map(), since a loop's variable would hold each chunk while the next one is read.
    yield from map(partial(add_chunk, tally), read_chunks(query, after, end, width, turn))
    yield query.format.finish_file(tally, cursor)


def add_chunk(tally: Tally, chunk: Chunk) -> bytes:
    tally.add(chunk.data, chunk.rows)
    tally.last_id = chunk.last_id
    return chunk.data
