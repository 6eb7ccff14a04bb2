"""Pictures over HTTP, `/pictures/…`: whoever knows an address may see one, as in any shop."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from catalog.media.addresses import MEDIA
from catalog.media.cleaning import MEDIA_TYPES
from catalog.media.demo import draw_picture
from catalog.media.models import Picture
from catalog.media.storing import find_file
from config.api.jobs import storage
from config.api.jobs.files import name_errors
from config.api.problems.errors import Unavailable

# An address names its content, so what it shows never changes.
FOREVER = "public, max-age=31536000, immutable"
# A picture that is opened as a page of its own can do nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@require_safe
def show_demo(request: HttpRequest, number: str, position: str) -> HttpResponse:
    if not int(number):
        raise Http404
    return send_picture(draw_picture(int(number), int(position)).encode(), "image/svg+xml")


@require_safe
def show_upload(request: HttpRequest, digest: str, suffix: str) -> HttpResponse:
    url = f"{MEDIA}{digest}.{suffix}"
    return send_file(url, MEDIA_TYPES[suffix], Picture.objects.filter(url=url).exists())


@require_safe
def show_thumbnail(request: HttpRequest, digest: str, side: str) -> HttpResponse:
    pictures = Picture.objects.filter(url__in=[f"{MEDIA}{digest}.{suffix}" for suffix in MEDIA_TYPES])
    return send_file(f"{MEDIA}{digest}-{side}.webp", "image/webp", pictures.filter(thumbnails__isnull=False).exists())


def send_file(url: str, media_type: str, is_known: bool) -> HttpResponse:
    """What the address shows. A file without a row may still be written, so it isn't shown."""
    if not is_known:
        raise Http404
    files = storage.open_storage(storage.MEDIA)
    try:
        with name_errors(files), files.open(find_file(url)) as file:
            return send_picture(file.read(), media_type)
    except FileNotFoundError:
        raise Http404 from None
    except OSError as error:
        raise Unavailable("The storage of the pictures") from error


def send_picture(body: bytes, media_type: str) -> HttpResponse:
    headers = {"Cache-Control": FOREVER, "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return HttpResponse(body, content_type=media_type, headers=headers)
