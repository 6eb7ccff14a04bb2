"""Export jobs: what is asked for becomes one file, whole and proved, whoever writes its parts, or a clear refusal."""

import csv
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from accounts.models import User
from accounts.orders import place_order
from catalog.models import Change, Product
from config.api.database.replicas import FLOOR
from config.api.database.wal_positions import read_position
from config.api.jobs.files import write_file
from config.api.reads.resources import RESOURCES
from exports import tasks
from exports.jobs import formats, parts
from exports.models import ExportJob
from tests.exports.conftest import URL, ask_for, download, list_files, make_many, post, read_body, run_job
from tests.exports.formats.test_packers import UNPACK
from tests.factories import make_brand, make_caller, make_product, make_user

pytestmark = pytest.mark.django_db


def test_each_format_that_a_job_can_name_has_a_row_of_its_own() -> None:
    assert set(formats.JOB_FORMATS) == set(ExportJob.Format.values)


# -- the file -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_a_file_is_what_a_stream_is(name: str, compression: str, caller: APIClient, files: Path) -> None:
    make_many(10)
    job = ask_for(caller, format=name, compression=compression, fields="id,sku,price")
    packed = download(caller, job)
    stream = read_body(caller.get(f"{URL}products.{name}", {"fields": "id,sku,price"}, HTTP_ACCEPT_ENCODING="identity"))
    # A stream of NDJSON proves itself by its last line, a job by its manifest.
    expected = stream if name == "csv" else stream[: stream.rindex(b"\n", 0, -1) + 1]
    assert UNPACK[compression](packed) == expected
    assert (job.rows_done, job.rows_total, job.bytes) == (10, 10, len(packed))
    assert job.sha256 == hashlib.sha256(packed).hexdigest()
    assert list_files(files) == [str(job.pk), job.file]


@pytest.mark.usefixtures("small_parts")
def test_a_job_without_writers_is_a_select_row_for_row(caller: APIClient) -> None:
    products = make_many(20)
    Product.objects.filter(pk__in=[product.pk for product in products[3:9]]).delete()
    job = ask_for(caller, format="ndjson", fields="id,sku,title")
    rows = [json.loads(line) for line in download(caller, job).splitlines()]
    assert rows == list(Product.objects.order_by("pk").values("id", "sku", "title"))


def test_an_empty_table_has_a_file_too(caller: APIClient) -> None:
    job = ask_for(caller, fields="id,sku", compression="gzip")
    assert gzip.decompress(download(caller, job)) == b"id,sku\n"
    assert job.percent == 100


@pytest.mark.usefixtures("small_parts")
def test_filters_fields_and_raw_are_the_streams(caller: APIClient) -> None:
    for number in range(7):
        make_product(sku=f"=1+{number}", brand=make_brand("Acme" if number % 2 else "Other"))
    job = ask_for(caller, filters={"brand": "acme", "in_stock": True}, fields="sku")
    assert download(caller, job) == b"sku\n'=1+1\n'=1+3\n'=1+5\n"
    assert download(caller, ask_for(caller, filters={"sku": ["=1+1", "=1+2"]}, fields="sku", raw=True)) == (
        b"sku\n=1+1\n=1+2\n"
    )


@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_filters_that_nothing_can_match_leave_an_empty_file(name: str, caller: APIClient) -> None:
    make_many(2)
    make_brand("Acme")
    head = b"sku\n" if name == "csv" else b""
    assert download(caller, ask_for(caller, format=name, fields="sku", filters={"brand": "acme"})) == head
    answer = caller.get(f"{URL}products.{name}", {"brand": "acme", "fields": "sku"}, HTTP_ACCEPT_ENCODING="identity")
    assert (answer.status_code, read_body(answer).startswith(head)) == (200, True)


def test_expanded_rows_come_as_ndjson(caller: APIClient) -> None:
    make_product(brand=make_brand("Acme"), images=2)
    job = ask_for(caller, format="ndjson", expand="brand,images", fields="brand")
    [row] = map(json.loads, download(caller, job).splitlines())
    assert row["brand"]["slug"] == "acme"
    assert len(row["images"]) == 2


@pytest.mark.usefixtures("small_parts")
def test_what_is_inserted_later_is_left_to_the_change_feed(caller: APIClient) -> None:
    make_many(4)
    job_id = post(caller, format="ndjson", fields="id").json()["id"]
    tasks.advance_export.call(job_id)
    late = make_many(1, prefix="late")[0]
    job = run_job(job_id)
    assert len(download(caller, job).splitlines()) == 4
    manifest = caller.get(f"{URL}{job_id}/manifest/").json()
    assert manifest["rows"] == 4
    feed = caller.get("/api/v1/changes/", {"after": manifest["changes_cursor"], "entity": "product"}).json()["results"]
    assert [change["entity_id"] for change in feed] == [late.pk]


def test_the_cursor_is_taken_before_the_first_row(caller: APIClient) -> None:
    make_many(2)
    caller.head("/api/v1/changes/")
    before = Change.objects.order_by("-position").values_list("position", flat=True).first()
    assert str(ask_for(caller).changes_cursor) == str(before)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("resource", "format_"), [(name, one) for name in sorted(RESOURCES) for one in RESOURCES[name].formats]
)
def test_each_table_is_a_job_in_each_format(resource: str, format_: str, staff: APIClient) -> None:
    for _ in range(5):
        product = make_product()
    place_order(make_user(), [{"sku": product.sku, "quantity": 1}])
    job = ask_for(staff, resource=resource, format=format_)
    assert (job.status, job.error) == ("ready", "")
    assert job.rows_done == (1 if resource == "orders" else job.rows_total) > 0
    manifest = staff.get(f"{URL}{job.pk}/manifest/").json()
    assert manifest["changes_cursor"] is not None


def test_a_table_needs_its_own_right(caller: APIClient) -> None:
    assert post(caller, resource="orders").status_code == 403
    job = ask_for(caller, resource="stock")
    assert caller.get(f"{URL}{job.pk}/manifest/").status_code == 200
    # Of somebody who might see orders once.
    ExportJob.objects.update(resource="orders")
    for path in ("file", "manifest"):
        assert caller.get(f"{URL}{job.pk}/{path}/").status_code == 403


def test_a_part_is_read_of_nothing_older_than_the_cursor(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_many(1)
    job_id = post(caller).json()["id"]
    tasks.advance_export.call(job_id)
    least, floors = read_position(), []
    read = parts.read_chunks

    def note_floor(*asked: Any) -> Any:
        floors.append(FLOOR.get())
        return read(*asked)

    monkeypatch.setattr(parts, "read_chunks", note_floor)
    run_job(job_id)
    assert [floor >= least > 0 for floor in floors] == [True]


# -- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.once  # refused before any SQL
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"format": "pdf"}, "/format"),
        ({"resource": "secrets"}, "/resource"),
        ({"filters": {"brant": "acme"}}, "/filters/brant"),
        ({"filters": {"price_min": "x"}}, "/filters/price_min"),
        ({"filters": {"brand": {"a": 1}}}, "/filters/brand"),
        ({"filters": {"page": 2}}, "/filters/page"),
        ({"filters": {"attr.color": "red"}}, "/filters/attr.color"),
        ({"fields": "id,nope"}, "/fields"),
        ({"expand": "brand"}, "/expand"),
        ({"format": "ndjson", "expand": "nope"}, "/expand"),
        ({"format": "ndjson", "raw": True}, "/raw"),
        ({"format": "parquet", "compression": "zstd"}, "/compression"),
        ({"compression": "lzma"}, "/compression"),
        ({"formats": "csv"}, "/formats"),
    ],
)
def test_a_bad_request_is_refused_by_name(body: dict[str, Any], pointer: str, caller: APIClient) -> None:
    answer = post(caller, **body)
    assert answer.status_code == 400, answer.json()
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not ExportJob.objects.exists()


@pytest.mark.parametrize(("name", "package"), [("parquet", "pyarrow"), ("xlsx", "xlsxwriter")])
def test_a_missing_extra_is_named(name: str, package: str, caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda package: None)
    answer = post(caller, format=name)
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_extra")
    assert f"the extra {name}" in answer.json()["detail"]
    assert f"pip install {package}" in answer.json()["hint"]


def test_a_missing_storage_extra_is_named(caller: APIClient, settings: Any) -> None:
    settings.STORAGES = settings.STORAGES | {"jobs": {"BACKEND": "config.api.missing.Bucket"}}
    answer = post(caller)
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_extra")
    assert "pip install django-storages[s3]" in answer.json()["hint"]


def test_more_rows_than_a_workbook_holds_are_refused_before_any_work(
    caller: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = formats.JobFormat("x", "ndjson", builder="exports.jobs.xlsx.write_xlsx", most_rows=3)
    monkeypatch.setitem(formats.JOB_FORMATS, "xlsx", small)
    make_many(4)
    answer = post(caller, format="xlsx")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_rows")
    assert not ExportJob.objects.exists()
    assert formats.XLSX_ROWS == 1_048_575  # and a header


def test_a_caller_has_no_more_jobs_than_the_quota(caller: APIClient, settings: Any) -> None:
    settings.EXPORT_QUOTA_JOBS = 2
    first = post(caller).json()["id"]
    assert post(caller).status_code == 201
    answer = post(caller)
    assert (answer.status_code, answer.json()["code"]) == (429, "export_quota_reached")
    caller.delete(f"{URL}{first}/")
    assert post(caller).status_code == 201


def test_files_past_the_quota_of_bytes_stop_the_next_job(caller: APIClient, settings: Any) -> None:
    settings.EXPORT_QUOTA_BYTES = 10
    ask_for(caller)
    assert post(caller).json()["code"] == "export_quota_reached"


def test_people_see_their_jobs_and_a_form(caller: APIClient) -> None:
    job = ask_for(caller)
    for path in ("", f"{job.pk}/", f"{job.pk}/manifest/"):
        page = caller.get(f"{URL}{path}", headers={"Accept": "text/html"})
        assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "compression" in caller.get(URL, headers={"Accept": "text/html"}).content.decode()


def test_a_repeated_post_is_one_job(caller: APIClient) -> None:
    answers = [
        caller.post(URL, {"resource": "products", "format": "csv"}, headers={"Idempotency-Key": "1"}) for _ in range(2)
    ]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert ExportJob.objects.count() == 1


# -- whose --------------------------------------------------------------------------------------------------------


def test_a_job_is_its_owners_alone(caller: APIClient) -> None:
    job = ask_for(caller)
    other = make_caller("Export partner")
    assert other.get(URL).json()["results"] == []
    for path in ("", "file/", "manifest/"):
        assert other.get(f"{URL}{job.pk}/{path}").status_code == 404
    assert other.delete(f"{URL}{job.pk}/").status_code == 404


def test_the_list_is_paged_by_keys_the_newest_first(caller: APIClient) -> None:
    made = [post(caller).json()["id"] for _ in range(5)]
    page = caller.get(URL, {"page_size": 2}).json()
    seen = [row["id"] for row in page["results"]]
    while page["next"]:
        page = caller.get(page["next"]).json()
        seen += [row["id"] for row in page["results"]]
    assert seen == made[::-1]


def test_a_job_outlives_neither_its_owner_nor_their_right(caller: APIClient) -> None:
    job = ask_for(caller)
    User.objects.get(pk=job.owner_id).groups.clear()
    caller.force_authenticate(User.objects.get(pk=job.owner_id))
    assert caller.get(f"{URL}{job.pk}/file/").status_code == 403


def lose_right(job: ExportJob, client: APIClient) -> None:
    """The job's owner may see no drafts from now on."""
    owner = User.objects.get(pk=job.owner_id)
    owner.user_permissions.remove(Permission.objects.get(codename="view_product"))
    client.force_authenticate(User.objects.get(pk=owner.pk))


@pytest.fixture
def trusted(caller: APIClient) -> APIClient:
    """An export partner who sees drafts, too."""
    owner = User.objects.get()
    owner.user_permissions.add(Permission.objects.get(codename="view_product"))
    caller.force_authenticate(User.objects.get())
    return caller


def test_a_file_with_drafts_needs_the_permission_to_see_them(trusted: APIClient) -> None:
    make_product(sku="secret", status="draft")
    job = ask_for(trusted, fields="sku")
    link = trusted.get(f"{URL}{job.pk}/manifest/").json()["url"]
    assert download(trusted, job) == b"sku\nsecret\n"
    lose_right(job, trusted)
    for path in ("file", "manifest"):
        answer = trusted.get(f"{URL}{job.pk}/{path}/")
        assert (answer.status_code, "catalog.view_product" in answer.json()["detail"]) == (403, True)
    assert APIClient().get(link).status_code == 403
    # A file that they may make today is theirs.
    assert download(trusted, ask_for(trusted, fields="sku")) == b"sku\n"


def test_a_file_without_drafts_takes_no_permission_to_see_them(trusted: APIClient) -> None:
    make_product(sku="shown")
    lose_right(ask_for(trusted), trusted)
    job = ask_for(trusted, fields="sku")
    owner = User.objects.get(pk=job.owner_id)
    owner.user_permissions.add(Permission.objects.get(codename="view_product"))
    assert download(trusted, job) == b"sku\nshown\n"


def test_a_permission_that_is_lost_before_the_parts_are_read_ends_the_job(trusted: APIClient) -> None:
    job_id = post(trusted).json()["id"]
    tasks.advance_export.call(job_id)
    lose_right(ExportJob.objects.get(pk=job_id), trusted)
    job = run_job(job_id)
    assert (job.status, job.error) == ("failed", "Its owner may not export any more.")


@pytest.mark.usefixtures("small_parts")
def test_a_permission_that_is_gained_after_planning_shows_no_more(caller: APIClient) -> None:
    make_product(sku="shown")
    make_product(sku="secret", status="draft")
    job_id = post(caller, fields="sku").json()["id"]
    tasks.advance_export.call(job_id)
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_product"))
    assert download(caller, run_job(job_id)) == b"sku\nshown\n"


# -- spreadsheets -------------------------------------------------------------------------------------------------


def test_a_csv_is_read_back_as_it_was(caller: APIClient) -> None:
    make_product(title='a "b",\nc', sku="é😀")
    rows = list(csv.DictReader(io.StringIO(download(caller, ask_for(caller, fields="sku,title")).decode())))
    assert rows == [{"sku": "é😀", "title": 'a "b",\nc'}]


def test_a_file_that_fails_is_gone(files: Path) -> None:
    def write() -> None:
        with write_file("1/x") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert list_files(files) == []


def test_addresses_in_a_file_are_absolute(caller: APIClient, settings: Any) -> None:
    settings.PUBLIC_URL = "https://shop.example"
    [product] = make_many(1)
    job = ask_for(caller, resource="products", format="csv", fields="images_url,variants_url")
    url = f"https://shop.example/api/v1/products/{product.pk}"
    assert download(caller, job).decode().splitlines()[1] == f"{url}/images/,{url}/variants/"
