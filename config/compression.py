"""Django's middleware that compresses answers: one that has a whole body, a stream or a file in, the shorter one out.

A stream of events, and what is compressed already, goes out as it is.
"""

from http import HTTPStatus
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware import gzip
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_sequence, compress_string

from config.api.push.responses import EventStream
from config.api.rendering.encodings import CODINGS, IDENTITY, LEAST_COMPRESSED, choose_coding, compress, compress_blocks

# The bytes of a file that are compressed at once. With the 4 kB that Django reads, a script of 1.6 MB takes 1.3 to 1.6
# times the CPU time and becomes 2 to 7 % longer.
FILE_BLOCK_BYTES = 65_536

# Statuses that are never compressed: a range counts the bytes of the uncompressed file, and a 304 has no body.
UNPACKED = (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.NOT_MODIFIED)


class GZipMiddleware(gzip.GZipMiddleware):
    """Django's middleware, but it can also compress with zstd and brotli, chosen as everywhere (encodings.py).

    A browser sends cookies by itself, also if another site's page makes the request. The length of a compressed answer
    could then reveal its secrets to that site (BREACH). Django prevents this with random padding in gzip; zstd and
    brotli have no padding that every client skips. So a request with a cookie gets only padded gzip. A browser never
    sends tokens by itself.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_short = isinstance(response, HttpResponse) and len(response.content) < LEAST_COMPRESSED
        # An event must not wait in the compressor for the next one.
        if is_short or isinstance(response, EventStream) or response.has_header("Content-Encoding"):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if response.status_code in UNPACKED:
            return response
        is_padded = bool(request.COOKIES)
        coding = choose_coding(request.META.get("HTTP_ACCEPT_ENCODING", ""), ("gzip",) if is_padded else CODINGS)
        if coding != IDENTITY and self.pack(response, coding, is_padded):
            response.headers["Content-Encoding"] = coding
            weaken_etag(response)
        return response

    def pack(self, response: Any, coding: str, is_padded: bool) -> bool:
        """Compress the body. False if it wouldn't be shorter; a stream is always compressed."""
        if isinstance(response, StreamingHttpResponse):
            self.pack_stream(response, coding, is_padded)
            return True
        body = response.content
        packed = compress_string(body, max_random_bytes=self.max_random_bytes) if is_padded else compress(body, coding)
        if len(packed) >= len(body):
            return False
        response.content = packed
        response.headers["Content-Length"] = str(len(packed))
        return True

    def pack_stream(self, response: Any, coding: str, is_padded: bool) -> None:
        if isinstance(response, FileResponse):
            response.block_size = FILE_BLOCK_BYTES
        blocks = response.streaming_content
        padded = compress_sequence(blocks, max_random_bytes=self.max_random_bytes) if is_padded else None
        response.streaming_content = padded or compress_blocks(blocks, coding)
        del response.headers["Content-Length"]


def weaken_etag(response: HttpResponseBase) -> None:
    """Make the ETag weak. A strong one would say that all bytes are the same (RFC 9110, section 8.8.1)."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):
        response.headers["ETag"] = f"W/{etag}"
