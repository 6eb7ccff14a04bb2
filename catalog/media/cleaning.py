"""Uploaded bytes in, a picture that is safe to serve out; or BadPicture, which says what is wrong with the file.

The format is told by the content. Whatever is served is written anew from the decoded pixels: so nothing that was
hidden behind or within them gets through, nor what a camera notes (place, time, owner). Only the colour profile stays.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from PIL import Image, ImageOps

from catalog.writes.values import BadValue
from config.api.problems.errors import Overloaded

# By the names of Pillow: our suffix, and how it is written. MPO is what many telephones make of JPEG.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG": ("jpg", {"quality": 90, "optimize": True, "progressive": True}),
    "PNG": ("png", {"optimize": False}),
    "WEBP": ("webp", {"quality": 90}),
}
MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
ALLOWED = "send a JPEG, PNG or WebP file"
# A colour profile of usual size. A larger one isn't needed, and could hold anything.
MOST_PROFILE = 64 * 1024
# What decoders raise for a damaged file.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, Image.DecompressionBombError)

# Ours is checked before a pixel is decoded; Pillow's own limit would only warn, up to twice its number.
Image.MAX_IMAGE_PIXELS = None

# One picture at a time in a process: 40 million pixels are 160 MB.
DECODING = threading.Lock()
DECODING_SECONDS = 10.0


class BadPicture(BadValue):
    """The file can't be a picture of a product."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A picture as it will be served. `digest` is of the bytes that were sent."""

    body: bytes
    digest: str
    suffix: str
    width: int
    height: int

    @property
    def name(self) -> str:
        return f"{self.digest}.{self.suffix}"


def clean_picture(file: IO[bytes]) -> Cleaned:
    """Read the whole file. Raises BadPicture, or Overloaded if other pictures keep the processor busy."""
    body = file.read(settings.MEDIA_MAX_BYTES + 1)
    if len(body) > settings.MEDIA_MAX_BYTES:
        raise BadPicture("max_length", f"has more than {settings.MEDIA_MAX_BYTES:,} bytes", "make it smaller")
    if not body:
        raise BadPicture("empty", "is empty", "send the file itself")
    with take_turn():
        picture = open_picture(body)
        suffix, options = FORMATS[picture.format]
        upright = decode(picture)
        out = BytesIO()
        upright.save(out, picture.format, **options, **keep_profile(picture))
    digest = hashlib.sha256(body).hexdigest()[:40]
    return Cleaned(out.getvalue(), digest, suffix, *upright.size)


@contextmanager
def take_turn() -> Iterator[None]:
    if not DECODING.acquire(timeout=DECODING_SECONDS):
        raise Overloaded
    try:
        yield
    finally:
        DECODING.release()


def open_picture(body: bytes) -> Any:
    """The picture, of which only the head is read."""
    if body.lstrip()[:1] == b"<":
        raise BadPicture("invalid_image", "is a text, such as SVG or HTML, which can hold scripts", ALLOWED)
    try:
        picture: Any = Image.open(BytesIO(body), formats=tuple(FORMATS))
        if picture.format == "MPO":
            picture.format = "JPEG"
        elif getattr(picture, "is_animated", False):
            raise BadPicture("invalid_image", "moves", "send a still picture")
    except DAMAGED as error:
        raise BadPicture("invalid_image", "is no picture of a known format", ALLOWED) from error
    width, height = picture.size
    if width * height > settings.MEDIA_MAX_PIXELS:
        rule = f"has {width:,} by {height:,} pixels, more than {settings.MEDIA_MAX_PIXELS:,}"
        raise BadPicture("max_pixels", rule, "make it smaller")
    return picture


def decode(picture: Any) -> Any:
    """The pixels, upright, without anything else that the file holds."""
    try:
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I"):
            # 16 bits of grey.
            upright = upright.point(lambda value: value * (1 / 256)).convert("L")
        plain = upright.convert(choose_mode(upright))
    except DAMAGED as error:
        raise BadPicture("invalid_image", "is damaged", "save it again with another program, and send that") from error
    plain.info = {}
    return plain


def choose_mode(picture: Any) -> str:
    """The mode in which a picture is kept: with transparency, grey, or in colours."""
    if picture.has_transparency_data and picture.format != "JPEG":
        return "RGBA"
    return "L" if picture.mode in ("1", "L") else "RGB"


def keep_profile(picture: Any) -> dict[str, bytes]:
    profile = picture.info.get("icc_profile") or b""
    # The profile of CMYK doesn't fit the pixels any more.
    return {"icc_profile": profile} if 0 < len(profile) <= MOST_PROFILE and picture.mode != "CMYK" else {}
