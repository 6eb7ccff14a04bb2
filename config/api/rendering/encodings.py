"""`Accept-Encoding` in, one coding out; a body or its blocks in, fewer bytes out.

The cache, the plan gate, the middleware around Django and the streams of exports all use it, so the same header gets
the same coding everywhere.

A client that accepts none of our codings (`*;q=0`, `identity;q=0`) gets the plain body. RFC 9110 (12.5.3, 15.5.7)
allows that as well as a 406. A 406 would need a body in some coding, too, and every HTTP client reads plain bytes.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial

import brotli
import zstandard

IDENTITY = ""
# The best first: a client that accepts several alike gets the first. For a list of 66 kB, milliseconds of CPU and how
# much smaller it gets (rounds in turn): zstd-1 0.15 (5.7x), zstd-3 0.18 (5.9x), zstd-5 0.40 (6.1x), zstd-9 0.85
# (6.5x); br-1 0.18 (5.4x), br-2 0.34 (5.9x), br-3 0.39 (6.0x), br-4 0.62 (6.1x), br-5 1.02 (6.6x); gzip-1 0.41
# (5.1x), gzip-3 0.44 (5.4x), gzip-6 0.92 (6.0x). So zstd is best for pages that are sent once; for cached ones zstd-9
# is as small as br-5 in less time. br beats gzip in size and time. The order for streams is the same.
CODINGS = ("zstd", "br", "gzip")

# For bodies. A higher level would make a cached answer 2 to 11 % smaller, but the client that fills it would wait.
ZSTD_LEVEL, BROTLI_LEVEL, GZIP_LEVEL = 3, 3, 3

# For streams. CSV of 20,000 products in flushed blocks, MB a CPU second and how much smaller it gets: zstd-1 390
# (4.8x), zstd-3 271 (5.2x); br-1 316 (4.4x), br-2 156 (4.8x), br-3 131 (5.0x); gzip-1 124 (3.8x), gzip-3 98 (4.1x),
# gzip-6 50 (4.6x). PostgreSQL writes 90 MB a second, so compression must be faster than that.
ZSTD_STREAM_LEVEL, BROTLI_STREAM_LEVEL, GZIP_STREAM_LEVEL = 1, 2, 3
# 2^18 bytes, 256 kB. Brotli's default of 4 MB for each stream makes nothing smaller.
BROTLI_STREAM_WINDOW = 18
# 16 + the window tells zlib to write a gzip header and a trailer.
GZIP_STREAM_WINDOW = 16 + zlib.MAX_WBITS

# Bytes. A shorter body isn't compressed; Django's GZipMiddleware has the same limit.
LEAST_COMPRESSED = 200

# One part of the header: a coding, `identity` or `*`, and its weight (RFC 9110, 12.4.2).
WISH = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*"
    r"(?:;[ \t]*[qQ][ \t]*=[ \t]*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)
# RFC 9110, 8.4.1.3.
ALIASES = {"x-gzip": "gzip"}
# Characters; a browser's header has 30. A longer header is parsed each time, so that nobody fills the memory with them.
LONGEST_KEPT = 256
# Of a longer one, all codings would take a tenth of a second to read.
LONGEST_READ = 4_096


def choose_coding(header: str, among: Sequence[str] = CODINGS) -> str:
    """The coding that a client weighs most, or the first of `among` that it weighs so; IDENTITY if it wants none."""
    if len(header) > LONGEST_READ:
        return IDENTITY
    weights = read_weights(header) if len(header) <= LONGEST_KEPT else read_weights.__wrapped__(header)
    others = weights.get("*", 0.0)
    best = max(among, key=lambda coding: weights.get(coding, others))
    weight = weights.get(best, others)
    # `identity` counts only if the header names it; then the client may prefer it.
    return best if weight and weight >= weights.get("identity", 0.0) else IDENTITY


@lru_cache(maxsize=256)
def read_weights(header: str) -> Mapping[str, float]:
    """The weight (0 to 1) of each coding, by lower-case name; invalid parts are ignored, the last of a name counts."""
    found = (WISH.fullmatch(part) for part in header.split(","))
    named = ((wish[1].lower(), float(wish[2] or 1)) for wish in found if wish)
    return {ALIASES.get(name, name): weight for name, weight in named}


# -- a whole body ------------------------------------------------------------------------------------------------


def compress(body: bytes, coding: str) -> bytes:
    """The body in `coding`; `body` itself if that is shorter, or under LEAST_COMPRESSED."""
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

# Three functions: compress a block, flush what is left of it, and end the body.
type Steps = tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]


def compress_blocks(blocks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """The blocks as one zstd frame, one brotli stream or one gzip member: several in a body break curl and Chrome.

    Each block is flushed, so that the client can read everything that was sent.
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
