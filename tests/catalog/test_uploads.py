"""`POST products/{id}/images/` with a picture: it is checked, cleaned, stored once, shrunk, served and swept."""

import signal
import struct
import zlib
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image as Pillow
from rest_framework.test import APIClient

from catalog.media.cleaning import BadPicture, clean_picture
from catalog.media.models import SIZES, Picture
from catalog.media.sweeping import sweep
from catalog.media.thumbnails import make_thumbnails
from catalog.models import Image, Product
from config.api.jobs import files as job_files
from tests.factories import make_product
from tests.launching import find_database_url, run_command

pytestmark = pytest.mark.django_db


def draw(kind: str = "JPEG", size: tuple[int, int] = (60, 40), color: str = "teal", **options: Any) -> bytes:
    out = BytesIO()
    Pillow.new("RGB", size, color).save(out, kind, **options)
    return out.getvalue()


def send(client: APIClient, product: Product, body: bytes, name: str = "a.jpg", **more: Any) -> Any:
    headers = more.pop("headers", None)
    form = {"file": SimpleUploadedFile(name, body), **more}
    return client.post(f"/api/v1/products/{product.pk}/images/", form, format="multipart", headers=headers)


def open_body(body: bytes) -> Any:
    return Pillow.open(BytesIO(body))


def test_a_picture_is_stored_and_shown(staff: APIClient) -> None:
    product = make_product(images=1)
    answer = send(staff, product, draw(), alt="Front", position="2")
    assert answer.status_code == 201, answer.json()
    row = answer.json()
    assert row["url"].startswith("http://testserver/media/")
    assert row | {"id": 0, "url": ""} == {
        "id": 0, "url": "", "alt": "Front", "position": 2, "width": 60, "height": 40, "thumbnails": None,
    }  # fmt: skip
    shown = Client().get(row["url"])
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/jpeg")
    assert shown["X-Content-Type-Options"] == "nosniff"
    assert shown["Cache-Control"] == "public, max-age=31536000, immutable"
    assert open_body(shown.content).size == (60, 40)


def test_the_worker_makes_three_small_pictures(staff: APIClient) -> None:
    product = make_product(images=0)
    url = send(staff, product, draw("PNG", (1600, 400)), "a.png").json()["url"]
    make_thumbnails()
    make_thumbnails()
    row = staff.get(f"/api/v1/products/{product.pk}/?expand=images").json()
    [image] = row["images"]
    assert (row["image_url"], image["url"], image["width"], image["height"]) == (url, url, 1600, 400)
    sizes = {}
    for name, small in image["thumbnails"].items():
        shown = Client().get(small)
        assert (shown.status_code, shown["Content-Type"]) == (200, "image/webp")
        sizes[name] = open_body(shown.content).size
    assert sizes == {"small": (160, 40), "medium": (480, 120), "large": (1200, 300)}


# A worker that is killed before it writes another small picture than these, or before it tells the images of all three.
KILLED = """
import os, signal
from catalog.media import thumbnails
left = {left}
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
def write_or_die(*arguments, write=thumbnails.write_file):
    global left
    left -= 1
    return write(*arguments) if left >= 0 else die()
thumbnails.write_file, thumbnails.tell_images = write_or_die, die
thumbnails.make_thumbnails()
"""


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 2, 3])
@pytest.mark.django_db(transaction=True)
def test_the_next_worker_makes_what_a_killed_one_left(left: int, staff: APIClient, files: Any) -> None:
    product = make_product(images=0)
    original = send(staff, product, draw(size=(1600, 400))).json()["url"]
    places = {"DATABASE_URL": find_database_url(), "MEDIA_STORAGE_URL": f"file://{files}_media"}
    done = run_command("manage.py", "shell", "-v0", "-c", KILLED.replace("{left}", str(left)), **places)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert Client().get(original).status_code == 200, "the original is there"
    if left < 3:
        make_thumbnails()
        assert Picture.objects.get().thumbnails is None, "the dead one's lease lasts"
        Picture.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    make_thumbnails()
    [image] = staff.get(f"/api/v1/products/{product.pk}/?expand=images").json()["images"]
    assert image["url"] == original
    assert [open_body(Client().get(image["thumbnails"][name]).content).width for name in SIZES] == [160, 480, 1200]


def test_an_image_that_names_an_uploaded_picture_learns_what_is_known_of_it(staff: APIClient) -> None:
    # As an export that is imported again does.
    first, second = make_product(images=0), make_product(images=1)
    url = send(staff, first, draw()).json()["url"]
    image = second.images.get()
    staff.patch(f"/api/v1/products/{second.pk}/images/{image.pk}/", {"url": url}, format="json")
    unknown = "/media/" + "0" * 40 + ".jpg"
    Image.objects.create(product=second, url=unknown)
    make_thumbnails()
    make_thumbnails()
    rows = {row["url"]: row for row in staff.get(f"/api/v1/products/{second.pk}/images/").json()["results"]}
    assert rows[url]["width"] == 60
    assert set(rows[url]["thumbnails"]) == {"small", "medium", "large"}
    assert rows[f"http://testserver{unknown}"]["thumbnails"] is None
    image.refresh_from_db()
    answer = staff.patch(f"/api/v1/products/{second.pk}/images/{image.pk}/", {"url": "/b.jpg"}, format="json").json()
    assert (answer["width"], answer["thumbnails"]) == (None, None)


def test_the_same_bytes_have_one_address_and_one_file(staff: APIClient) -> None:
    first, second = make_product(images=0), make_product(images=0)
    assert send(staff, first, draw()).json()["url"] == send(staff, second, draw(), "b.jpg").json()["url"]
    assert Picture.objects.count() == 1
    again = send(staff, first, draw())
    assert (again.status_code, again.json()["errors"][0]["code"]) == (409, "taken")


def test_a_repeated_request_with_a_key_has_one_effect(staff: APIClient) -> None:
    product, key = make_product(images=0), {"Idempotency-Key": "once"}
    first = send(staff, product, draw(), headers=key)
    second = send(staff, product, draw(), headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.json(), second["Idempotency-Replayed"]) == (second.json(), "true")
    other = send(staff, product, draw(color="red"), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_what_a_camera_notes_is_gone_and_its_turn_is_applied() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    exif[0x010E] = "Our kitchen"
    body = draw(exif=exif.tobytes(), comment=b"secret")
    assert b"Our kitchen" in body
    cleaned = clean_picture(BytesIO(body))
    picture = open_body(cleaned.body)
    assert picture.size == (cleaned.width, cleaned.height) == (40, 60)
    assert not picture.getexif()
    assert not any(word in cleaned.body for word in (b"Exif", b"kitchen", b"secret"))


def test_nothing_that_is_hidden_behind_the_pixels_is_served() -> None:
    text = b"<script>alert(1)</script>"
    for kind in ("JPEG", "PNG", "WEBP"):
        assert text not in clean_picture(BytesIO(draw(kind) + text)).body


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_pictures_of_every_mode_can_be_kept(mode: str) -> None:
    kinds = {"CMYK": "JPEG"}
    out = BytesIO()
    Pillow.new(mode, (9, 5)).save(out, kinds.get(mode, "PNG"))
    cleaned = clean_picture(BytesIO(out.getvalue()))
    assert open_body(cleaned.body).size == (9, 5)


def make_bomb(width: int, height: int) -> bytes:
    """A PNG whose head promises so many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def animate() -> bytes:
    out = BytesIO()
    frames = [Pillow.new("RGB", (9, 9), color) for color in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "an SVG": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG or HTML"),
    "a page": (lambda: b"  <!doctype html><p>", "SVG or HTML"),
    "a GIF": (lambda: draw("GIF"), "no picture of a known format"),
    "a program": (lambda: b"MZ" + bytes(400), "no picture of a known format"),
    "half a picture": (lambda: draw(size=(400, 400))[:900], "is damaged"),
    "a bomb": (lambda: make_bomb(60_000, 60_000), "60,000 by 60,000 pixels"),
    "a short bomb": (lambda: make_bomb(2_000, 2_000), "is damaged"),
    "a moving picture": (animate, "moves"),
    "nothing": (lambda: b"", "is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, sentence = REFUSED[name]
    with pytest.raises(BadPicture, match=sentence):
        clean_picture(BytesIO(make()))


def test_too_many_bytes_are_refused(settings: Any) -> None:
    settings.MEDIA_MAX_BYTES = 2048
    with pytest.raises(BadPicture, match="more than 2,048 bytes"):
        clean_picture(BytesIO(draw() + bytes(2048)))


def test_a_refusal_names_the_file_and_writes_nothing(staff: APIClient) -> None:
    product = make_product(images=0)
    answer = send(staff, product, b"<svg/>", "lamp.png")
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/file", "invalid_image")
    assert error["detail"].startswith("'lamp.png' is a text, such as SVG or HTML")
    assert not Picture.objects.exists()


def test_a_full_disk_is_a_503_and_leaves_no_row(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    product = make_product(images=0)
    monkeypatch.setattr(job_files.LocalFolder, "finish", fail)
    answer = send(staff, product, draw())
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert not Picture.objects.exists()
    monkeypatch.undo()
    assert send(staff, product, draw()).status_code == 201


def test_strangers_send_no_pictures() -> None:
    assert send(APIClient(), make_product(), draw()).status_code == 401


def test_a_file_without_a_row_is_not_shown(staff: APIClient) -> None:
    url = send(staff, make_product(images=0), draw()).json()["url"]
    Picture.objects.all().delete()
    assert Client().get(url).status_code == 404


def test_a_catalogue_from_another_database_finds_its_pictures_in_the_storage(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = make_product(images=0)
    url = send(staff, product, draw()).json()["url"]
    path = Picture.objects.get().url
    make_thumbnails()
    # As an import of exports/catalogue.ndjson leaves it, before a worker comes by.
    Picture.objects.all().delete()
    Image.objects.update(width=None, height=None, thumbnails=None)
    Image.objects.create(product=product, url="/media/..")
    monkeypatch.setattr("catalog.media.sweeping.YOUNG", timedelta(0))
    sweep(path.removeprefix("/media/")[:2])
    for _ in range(2):
        make_thumbnails()
    assert (Client().get(url).status_code, Picture.objects.get().size) == (200, len(Client().get(url).content))
    image = product.images.get(url=path)
    assert (image.width, image.height, set(image.thumbnails)) == (60, 40, {"small", "medium", "large"})
    assert product.images.get(url="/media/..").thumbnails == {}


def age(days: int) -> None:
    Picture.objects.update(unused_since=timezone.now() - timedelta(days=days))


def test_a_picture_that_nobody_shows_goes_when_no_undo_can_bring_it_back(staff: APIClient, settings: Any) -> None:
    product = make_product(images=0)
    send(staff, product, draw())
    url = Picture.objects.get().url
    make_thumbnails()
    folder = url.removeprefix("/media/")[:2]
    sweep(folder)
    assert Picture.objects.get().unused_since is None
    Image.objects.all().delete()
    sweep(folder)
    age(settings.CHANGE_RETENTION_DAYS - 1)
    sweep(folder)
    assert Client().get(url).status_code == 200
    Image.objects.create(product=product, url=url)
    age(settings.CHANGE_RETENTION_DAYS + 1)
    sweep(folder)
    assert Client().get(url).status_code == 200
    Image.objects.all().delete()
    sweep(folder)
    age(settings.CHANGE_RETENTION_DAYS + 1)
    sweep(folder)
    assert not Picture.objects.exists()
    assert Client().get(url).status_code == 404


def test_files_whose_row_was_never_committed_are_swept(
    staff: APIClient, files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(staff, make_product(images=0), draw())
    url = Picture.objects.get().url
    make_thumbnails()
    folder = url.removeprefix("/media/")[:2]
    place = files.parent / f"{files.name}_media" / folder
    stray = place / f"{folder}{'0' * 38}.jpg"
    stray.write_bytes(b"half")
    sweep(folder)
    assert len(list(place.iterdir())) == 5
    monkeypatch.setattr("catalog.media.sweeping.YOUNG", timedelta(0))
    sweep(folder)
    assert len(list(place.iterdir())) == 4
    assert not stray.exists()
