"""`Accept-Encoding` in, one coding out; a body or its blocks in, fewer bytes out.

Every door asks here: kept answers, the plan gate, the middleware around Django and the streams of exports. So the same
header gets the same coding everywhere.

A client that takes nothing that we have (`*;q=0`, `identity;q=0`) gets the body as it is. RFC 9110 (12.5.3, 15.5.7)
allows that as well as a 406; a 406 would need a body in the same coding, and every HTTP client reads plain bytes.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial

import brotli
import zstandard

IDENTITY = ""
# The best first: it is what a client gets that takes several alike. A list of 66 kB, milliseconds of CPU and how much
# smaller (rounds in turn): zstd-1 0.15 (5.7x), zstd-3 0.18 (5.9x), zstd-5 0.40 (6.1x), zstd-9 0.85 (6.5x); br-1 0.18
# (5.4x), br-2 0.34 (5.9x), br-3 0.39 (6.0x), br-4 0.62 (6.1x), br-5 1.02 (6.6x); gzip-1 0.41 (5.1x), gzip-3 0.44
# (5.4x), gzip-6 0.92 (6.0x). So zstd wins for pages that are made once and, at 9, is as small as br-5 in less time for
# those that are kept; br wins against gzip in size and time. Of streams see below: the order is the same.
CODINGS = ("zstd", "br", "gzip")

# For bodies. A higher level would save a kept answer 2 to 11 %, and the client whose request packs it waits for it.
ZSTD_LEVEL, BROTLI_LEVEL, GZIP_LEVEL = 3, 3, 3

# For streams. CSV of 20,000 products in blocks, each flushed, in MB a CPU second and how much smaller: zstd-1 390
# (4.8x), zstd-3 271 (5.2x); br-1 316 (4.4x), br-2 156 (4.8x), br-3 131 (5.0x); gzip-1 124 (3.8x), gzip-3 98 (4.1x),
# gzip-6 50 (4.6x). PostgreSQL writes 90 MB a second, so the packing must cost less than that.
ZSTD_STREAM_LEVEL, BROTLI_STREAM_LEVEL, GZIP_STREAM_LEVEL = 1, 2, 3
# 256 kB: brotli's own 4 MB for each stream pack no better.
BROTLI_STREAM_WINDOW = 18
# 16 + the window: one gzip header and one trailer.
GZIP_STREAM_WINDOW = 16 + zlib.MAX_WBITS

# Less isn't worth a header; Django's GZipMiddleware draws the line here too.
LEAST_COMPRESSED = 200

# One part of the header: a coding, `identity` or `*`, and its weight (RFC 9110, 12.4.2).
WISH = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*"
    r"(?:;[ \t]*[qQ][ \t]*=[ \t]*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)
# RFC 9110, 8.4.1.3.
ALIASES = {"x-gzip": "gzip"}
# Characters; a browser's header has 30. A longer one is read each time, so that nobody fills the memory with them.
LONGEST_KEPT = 256


def choose_coding(header: str, among: Sequence[str] = CODINGS) -> str:
    """The coding that a client weighs most, the first of `among` where it weighs several alike; or IDENTITY."""
    weights = read_weights(header) if len(header) <= LONGEST_KEPT else read_weights.__wrapped__(header)
    others = weights.get("*", 0.0)
    best = max(among, key=lambda coding: weights.get(coding, others))
    weight = weights.get(best, others)
    # A header that doesn't name `identity` doesn't weigh it either; one that does may want it more than the rest.
    return best if weight and weight >= weights.get("identity", 0.0) else IDENTITY


@lru_cache(maxsize=256)
def read_weights(header: str) -> Mapping[str, float]:
    """By lower-case name, 0 to 1; a part that can't be read is left out, and of two for one name the last counts."""
    found = (WISH.fullmatch(part) for part in header.split(","))
    named = ((wish[1].lower(), float(wish[2] or 1)) for wish in found if wish)
    return {ALIASES.get(name, name): weight for name, weight in named}


# -- a whole body ------------------------------------------------------------------------------------------------


def compress(body: bytes, coding: str) -> bytes:
    """`body` itself where that is shorter, or short already."""
    if coding == IDENTITY or len(body) < LEAST_COMPRESSED:
        return body
    packed = PACKERS[coding](body)
    return packed if len(packed) < len(body) else body


def compress_zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)


PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "zstd": compress_zstd,
    "br": partial(brotli.compress, quality=BROTLI_LEVEL),
    "gzip": partial(gzip.compress, compresslevel=GZIP_LEVEL, mtime=0),
}


# -- a body in blocks --------------------------------------------------------------------------------------------

# How a block is packed, how what it left behind is flushed, and how the body ends.
type Steps = tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]


def compress_blocks(blocks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """One zstd frame, one brotli stream or one gzip member; several in one body break curl and Chrome.

    Each block is flushed, so that a client can read all that was sent.
    """
    pack, flush, finish = STREAM_PACKERS[coding]()
    for block in blocks:
        yield pack(block) + flush()
    yield finish()


def begin_zstd() -> Steps:
    packer = zstandard.ZstdCompressor(level=ZSTD_STREAM_LEVEL).compressobj()
    return packer.compress, partial(packer.flush, zstandard.COMPRESSOBJ_FLUSH_BLOCK), packer.flush


def begin_brotli() -> Steps:
    packer = brotli.Compressor(quality=BROTLI_STREAM_LEVEL, lgwin=BROTLI_STREAM_WINDOW)
    return packer.process, packer.flush, packer.finish


def begin_gzip() -> Steps:
    packer = zlib.compressobj(GZIP_STREAM_LEVEL, zlib.DEFLATED, GZIP_STREAM_WINDOW)
    return packer.compress, partial(packer.flush, zlib.Z_SYNC_FLUSH), packer.flush


STREAM_PACKERS: Mapping[str, Callable[[], Steps]] = {"zstd": begin_zstd, "br": begin_brotli, "gzip": begin_gzip}
