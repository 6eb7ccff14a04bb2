"""Export jobs in the admin: what is shown, what may be done, and a job out of a list of products."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from catalog.models import Product
from config.api.reads.resources import RESOURCES
from exports.models import ExportJob
from tests.exports.conftest import ask_for, list_files, read_body, run_job
from tests.factories import make_brand, make_product, make_user

pytestmark = pytest.mark.django_db

JOBS = "/admin/exports/exportjob/"
PRODUCTS = "/admin/catalog/product/"


@pytest.fixture
def office(admin_user: User) -> Client:
    browser = Client()
    browser.force_login(admin_user)
    return browser


def make_job(**values: Any) -> ExportJob:
    asked = {"resource": "products", "format": "csv", "fields": "sku"}
    return ExportJob.objects.create(**{"owner": make_user("Export partner")} | asked | values)


def act(browser: Client, action: str, *keys: int, path: str = JOBS, **values: str) -> Any:
    return browser.post(path, {"action": action, "_selected_action": keys, **values}, follow=True)


def list_messages(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_the_page_shows_a_bar_for_each_job(office: Client) -> None:
    make_job(status="running", percent=40, rows_done=4000, rows_total=10_000, seconds_left=12)
    make_job(status="failed", error="Its files can't be written.")
    page = office.get(JOBS).content.decode()
    for text in ("width: 40%", "40 %, 12 s left", "4,000 of 10,000", "Its files can&#x27;t be written."):
        assert text in page, text
    assert office.get(f"{JOBS}{ExportJob.objects.first().pk}/change/").status_code == 200


def test_an_export_is_chosen_counted_and_started_on_one_page(office: Client, admin_user: User) -> None:
    brand = make_brand("Oak & Co")
    make_product(sku="A", brand=brand)
    make_product(sku="B")
    page = f"{JOBS}add/?resource=products"
    asked = {"format": "csv", "compression": "none", "columns": ["sku", "title"], "filter-brand": brand.slug}
    assert "The file will have <strong>1</strong> row." in office.post(page, asked | {"count": "1"}).content.decode()
    assert not ExportJob.objects.exists()
    answer = office.post(page, asked | {"start": "1"})
    job = ExportJob.objects.get()
    assert answer["Location"] == f"{JOBS}{job.pk}/change/"
    assert (job.owner, job.filters, job.fields) == (admin_user, {"brand": brand.slug}, "sku,title")
    run_job(job.pk)
    assert read_body(office.get(f"/api/v1/exports/{job.pk}/file/")).splitlines()[0] == b"sku,title"


@pytest.mark.once  # refused before any SQL
@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({"filter-price_min": "cheap"}, "filter-price_min", "is not a number"),
        ({"attributes": "colur=red"}, "attributes", "colur"),
        ({"filter-brand": "nobody"}, "filter-brand", "valid choice"),
        ({"columns": []}, "columns", "required"),
    ],
)
def test_what_cannot_be_exported_is_an_error_of_its_field(
    values: dict[str, Any], field: str, sentence: str, office: Client
) -> None:
    asked = {"format": "csv", "compression": "none", "columns": ["sku"], "start": "1"}
    answer = office.post(f"{JOBS}add/?resource=products", asked | values)
    assert sentence in str(answer.context["form"].errors[field])
    assert not ExportJob.objects.exists()


@pytest.mark.slow
def test_every_resource_has_its_form_with_its_usual_columns(office: Client) -> None:
    for name, resource in RESOURCES.items():
        page = office.get(f"{JOBS}add/?resource={name}")
        assert page.status_code == 200, name
        form = page.context["form"]
        usual = {"columns": form.fields["columns"].initial, "compression": "none", "count": "1"}
        for kind in resource.formats:
            counted = office.post(f"{JOBS}add/?resource={name}", usual | {"format": kind}).context["form"]
            assert (counted.errors, counted.job.fields) == ({}, ""), (name, kind)


def test_only_what_a_user_may_export_is_offered(client: Client) -> None:
    user = make_user("Export partner")
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="view_exportjob"))
    client.force_login(user)
    assert "orders" not in client.get(f"{JOBS}add/").context["resources"]
    assert client.get(f"{JOBS}add/?resource=orders").status_code == 404
    user.user_permissions.remove(Permission.objects.get(codename="view_exportjob"))
    assert client.get(f"{JOBS}add/").status_code == 403


def test_a_job_that_is_started_in_the_admin_is_downloaded_in_the_admin(office: Client, admin_user: User) -> None:
    make_product(sku="A")
    act(office, "export_csv", Product.objects.get().pk, path=PRODUCTS)
    job = run_job(ExportJob.objects.get().pk)
    link = f"/api/v1/exports/{job.pk}/file/"
    assert f'href="{link}"' in office.get(JOBS).content.decode()
    assert b"A," in read_body(office.get(link))


def test_a_page_of_jobs_costs_the_same_for_one_and_for_many(office: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(20):
        make_job()
    # session, user, the bounded count, the page with its owners
    with django_assert_max_num_queries(5):
        office.get(JOBS)


def test_cancel_ends_what_is_under_way_and_nothing_else(office: Client) -> None:
    running, ready = make_job(status="running"), make_job(status="ready")
    assert list_messages(act(office, "cancel", running.pk, ready.pk)) == ["1 canceled; the others had already ended."]
    statuses = ExportJob.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == ["canceled", "ready"]


def test_a_failed_job_is_tried_again_as_another(office: Client) -> None:
    failed, ready = make_job(status="failed", filters={"sku": "A"}), make_job(status="ready")
    make_product(sku="A")
    act(office, "retry", failed.pk, ready.pk)
    assert ExportJob.objects.count() == 3
    again = run_job(ExportJob.objects.latest("pk").pk)
    assert (again.status, again.rows_done, again.owner, again.fields) == ("ready", 1, failed.owner, "sku")


def test_what_can_not_be_tried_again_says_why(office: Client) -> None:
    job = make_job(status="failed", owner=make_user())
    assert "may not export any more" in list_messages(act(office, "retry", job.pk))[0]


def test_a_deleted_job_takes_its_file_with_it(office: Client, caller: Any, files: Path) -> None:
    jobs = [ask_for(caller), ask_for(caller)]
    office.post(f"{JOBS}{jobs[0].pk}/delete/", {"post": "yes"})
    act(office, "delete_selected", jobs[1].pk, post="yes")
    assert not ExportJob.objects.exists()
    assert list_files(files) == []


def test_a_user_with_only_the_view_permission_gets_no_action() -> None:
    viewer = make_user(is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=("view_exportjob", "view_product")))
    browser = Client()
    browser.force_login(viewer)
    job = make_job(status="running")
    assert 'value="cancel"' not in browser.get(JOBS).content.decode()
    act(browser, "cancel", job.pk)
    act(browser, "export_csv", make_product().pk, path=PRODUCTS)
    assert list(ExportJob.objects.values_list("status", flat=True)) == ["running"]


def test_a_list_of_products_becomes_a_job_of_its_filter(office: Client, admin_user: User) -> None:
    for number in range(3):
        make_product(sku=f"A{number}", brand=make_brand("Acme"), status="draft")
    make_product(sku="B", brand=make_brand("Other"), status="draft")
    path = f"{PRODUCTS}?brand=acme&status__exact=draft&in_stock__exact=1"
    answer = act(office, "export_csv", Product.objects.latest("pk").pk, path=path, select_across="1")
    job = ExportJob.objects.get()
    assert list_messages(answer) == [f"Export #{job.pk} has started."]
    assert job.filters == {"brand": "acme", "status": "draft", "in_stock": "true"}
    assert (job.owner, run_job(job.pk).rows_done) == (admin_user, 3)


@pytest.mark.slow
def test_a_search_becomes_the_search_of_the_job(office: Client) -> None:
    tea, cup = make_product(sku="T", title="Green tea"), make_product(sku="C", title="Cup")
    for term, filters in (("green", {"search": "green"}), ("C", {"id": [cup.pk]})):
        act(office, "export_xlsx", tea.pk, cup.pk, path=f"{PRODUCTS}?q={term}", select_across="1")
        job = ExportJob.objects.latest("pk")
        assert (job.format, job.filters, run_job(job.pk).rows_done) == ("xlsx", filters, 1)


def test_selected_products_become_a_job_of_their_ids(office: Client) -> None:
    chosen = [make_product().pk for _ in range(3)][:2]
    act(office, "export_csv", *chosen, path=PRODUCTS, select_across="0")
    job = ExportJob.objects.get()
    assert sorted(job.filters["id"]) == chosen
    assert run_job(job.pk).rows_done == 2


def test_a_refused_export_says_why(office: Client, settings: Any) -> None:
    settings.EXPORT_QUOTA_JOBS = 1
    make_product()
    act(office, "export_csv", Product.objects.get().pk, path=PRODUCTS)
    answer = act(office, "export_csv", Product.objects.get().pk, path=PRODUCTS)
    assert "this is the limit" in list_messages(answer)[0]
