"""Pieces that were packed apart from each other are one file: for gzip one member, as every client reads it."""

import gzip
import io
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from exports.formats.packers import PACKERS, Piece, combine_crc32


def read_zstd(packed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed), read_across_frames=True).read()


UNPACK = {"none": bytes, "gzip": gzip.decompress, "zstd": read_zstd}


def pack(compression: str, texts: list[bytes]) -> bytes:
    packer, pieces, packed = PACKERS[compression], [], b""
    for text in texts:
        one, piece = packer(), Piece()
        piece.add(text)
        pieces.append(piece)
        packed += one.pack(text) + one.flush()
    return packer.begin + packed + packer.end(pieces)


@pytest.mark.parametrize("compression", PACKERS)
@given(texts=st.lists(st.binary(max_size=2000), max_size=5))
def test_pieces_are_one_file(compression: str, texts: list[bytes]) -> None:
    assert UNPACK[compression](pack(compression, texts)) == b"".join(texts)


@given(texts=st.lists(st.binary(max_size=200), max_size=5))
def test_gzip_is_a_single_member(texts: list[bytes]) -> None:
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert reader.decompress(pack("gzip", texts)) == b"".join(texts)
    assert reader.eof
    assert reader.unused_data == b""


@given(first=st.binary(), second=st.binary())
def test_two_checksums_are_combined(first: bytes, second: bytes) -> None:
    assert combine_crc32(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)
