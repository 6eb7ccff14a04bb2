"""Pictures over HTTP, `/pictures/…`: whoever knows an address may see one, as in any shop."""

from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from catalog.media.demo import draw_picture

# An address names its content, so what it shows never changes.
FOREVER = "public, max-age=31536000, immutable"
# A picture that is opened as a page of its own can do nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@require_safe
def show_demo(request: HttpRequest, number: str, position: str) -> HttpResponse:
    if not int(number):
        raise Http404
    return send_picture(draw_picture(int(number), int(position)).encode(), "image/svg+xml")


def send_picture(body: bytes, media_type: str) -> HttpResponse:
    headers = {"Cache-Control": FOREVER, "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return HttpResponse(body, status=HTTPStatus.OK, content_type=media_type, headers=headers)
