"""Imports in the admin: who may send a file, what its page shows, what stops it."""

import html
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import BooleanField, FileField
from django.test import Client

from catalog.imports.tasks import advance_import
from catalog.models import ImportJob, Product
from tests.factories import make_user

pytestmark = pytest.mark.django_db

JOBS = "/admin/catalog/importjob/"
ROWS = b"sku,title,price\nA,Lamp,1\nB,<b>,x\n"


@pytest.fixture
def office(db: None) -> Client:
    """Staff with the right to import, and no other."""
    user = make_user()
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="import_product"))
    browser = Client()
    browser.force_login(user)
    return browser


def send(browser: Client, content: bytes = ROWS, **values: str) -> Any:
    form = {"upload": SimpleUploadedFile("tea.csv", content), "format": "", "map": ""} | values
    return browser.post(f"{JOBS}add/", form, follow=True)


def read_refused(page: str) -> list[str]:
    """The column of the list."""
    cells = re.findall(r'<td class="field-refused.*?</td>', page, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in cells]


def list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_is_sent_and_its_page_shows_what_became_of_it(office: Client) -> None:
    assert 'type="file"' in office.get(f"{JOBS}add/").content.decode()
    answer = send(office)
    assert answer.status_code == 200
    job = ImportJob.objects.get()
    assert (job.name, job.format, job.status, job.owner is not None) == ("tea.csv", "csv", "queued", True)
    advance_import.call(job.pk)
    page = office.get(f"{JOBS}{job.pk}/change/").content.decode()
    for text in (
        "1 created",
        "1 refused",
        "line 3, B: price: &#x27;x&#x27; is not a number",
        f"{JOBS}{job.pk}/errors/",
    ):
        assert text in page, text
    listed = office.get(JOBS).content.decode()
    for text in ("tea.csv", "width: 100%", "Ready"):
        assert text in listed, text
    assert read_refused(listed) == ["1"]
    assert "bg-orange" in listed
    assert b"".join(office.get(f"{JOBS}{job.pk}/errors/")).startswith(
        b"line,sku,reason,column,value,rule,remedy\r\n3,B,"
    )


@pytest.mark.slow
def test_a_form_as_a_browser_sends_it_starts_the_import(office: Client) -> None:
    """Browsers send each field, also those that nobody has filled in."""
    form = office.get(f"{JOBS}add/").context["adminform"].form
    sent = {name: "" for name, field in form.fields.items() if not isinstance(field, (BooleanField, FileField))}
    for status, made in (("", "active"), ("draft", "draft")):
        send(office, f"sku,title,price\nNEW-{made},Lamp,1\n".encode(), **(sent | {"new_status": status}))
        job = ImportJob.objects.latest("pk")
        assert job.status == "queued"
        advance_import.call(job.pk)
        assert Product.objects.get(sku=f"NEW-{made}").status == made


def test_refused_rows_are_downloaded_and_sent_again_with_the_same_options(office: Client) -> None:
    send(office, b"index,title,price\nA,Lamp,x\n", map="sku=index", decimal=",", new_status="draft", missing="archive")
    job = ImportJob.objects.get()
    advance_import.call(job.pk)
    page = office.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "Download 1 refused rows" in page
    answer = office.get(f"{JOBS}{job.pk}/refused/")
    assert answer.getvalue().decode().splitlines()[0] == "\ufeffindex,title,price,import_error"
    [link] = re.findall(r'href="(/admin/catalog/importjob/add/\?map[^"]*)"', page)
    form = office.get(html.unescape(link)).context["adminform"].form
    assert form.initial == {"map": "sku=index", "decimal": ",", "new_status": "draft"}


def test_a_dry_run_writes_nothing(office: Client) -> None:
    send(office, dry_run="on")
    job = ImportJob.objects.get()
    advance_import.call(job.pk)
    assert ImportJob.objects.get().report["products"]["created"] == 1
    assert "yes, nothing is written" in office.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert not Product.objects.exists()


def test_an_ordinary_run_without_refusals_looks_like_success(office: Client) -> None:
    send(office, b"sku,title,price\nA,Lamp,1\n")
    job = ImportJob.objects.get()
    advance_import.call(job.pk)
    page, listed = (office.get(path).content.decode() for path in (f"{JOBS}{job.pk}/change/", JOBS))
    assert re.search(r">\s*CSV\s*<", page)
    assert ">close<" not in page
    assert read_refused(listed) == ["-"]


@pytest.mark.parametrize(
    ("content", "values", "sentence"),
    [
        (b"name\nA\n", {}, "has no column sku"),
        (ROWS, {"map": "titel=title"}, "did you mean title?"),
        (b"PK\x03\x04", {}, "an Excel workbook"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_on_its_form(
    content: bytes, values: dict[str, str], sentence: str, office: Client, files: Path
) -> None:
    assert sentence in send(office, content, **values).content.decode()
    assert not ImportJob.objects.exists()
    assert not list_files(files)


def test_past_the_quota_an_import_is_refused_and_its_file_deleted(office: Client, files: Path, settings: Any) -> None:
    settings.IMPORT_QUOTA_JOBS = 1
    send(office)
    assert "this is the limit" in send(office).content.decode()
    assert (ImportJob.objects.count(), len(list_files(files))) == (1, 1)


def test_cancel_and_delete_stop_it_and_its_file_goes(office: Client, files: Path) -> None:
    for action, left in (("cancel", ["canceled"]), ("delete_selected", ["canceled"])):
        send(office)
        job = ImportJob.objects.latest("pk")
        office.post(JOBS, {"action": action, "_selected_action": [job.pk], "post": "yes"}, follow=True)
        assert list(ImportJob.objects.values_list("status", flat=True)) == left
        assert not list_files(files)


def test_a_page_of_imports_costs_the_same_for_one_and_for_many(
    office: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        ImportJob.objects.create(name="tea.csv", owner=make_user())
    # session, user, two for their rights, the bounded count, the page with its owners
    with django_assert_max_num_queries(7):
        office.get(JOBS)


def test_who_may_not_import_sees_none_of_it(office: Client) -> None:
    send(office)
    pages = (
        JOBS,
        f"{JOBS}add/",
        f"{JOBS}{ImportJob.objects.get().pk}/change/",
        f"{JOBS}{ImportJob.objects.get().pk}/errors/",
    )
    user = make_user()
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="view_importjob"))
    browser = Client()
    browser.force_login(user)
    for page in pages:
        answer = browser.get(page)
        assert answer.status_code in (302, 403), page
        assert b"price" not in getattr(answer, "content", b"")
    assert "importjob" not in browser.get("/admin/", follow=True).content.decode()
