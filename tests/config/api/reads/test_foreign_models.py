"""A read serializer that `check` passes works at its first request, whatever its model calls key and columns."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework import serializers as drf
from rest_framework.relations import HyperlinkedIdentityField, SlugRelatedField
from rest_framework.test import APIClient

from config.api.reads.resources import Resource
from config.api.reads.selections import build_selection, find_fields, list_expandable
from config.api.schema.checks import check_orders, check_projections, find_reasons, find_unexportable, find_unordered
from config.urls import urlpatterns as real_patterns
from exports.formats.formats import FORMATS
from exports.rows.chunks import Query, find_ends, read_chunks
from tests.config import foreign
from tests.config.foreign import VIEWS, Box, Crate, Item, ItemRead, Maker, Tag

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

urlpatterns = [*foreign.router.urls, *real_patterns]


@pytest.fixture(scope="module", autouse=True)
def tables(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), foreign.make_tables():
        yield


@pytest.fixture(scope="module", autouse=True)
def rows(tables: None, kept: None) -> None:
    foreign.fill()


@pytest.fixture(params=[True, False], ids=["compiled", "by serializers"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    is_compiled: bool = request.param
    monkeypatch.setattr(foreign.Foreign, "compiled", is_compiled)
    return is_compiled


def address(view: Any) -> str:
    return f"/{view.__name__.lower()}/"


def read(client: APIClient, url: str, **headers: str) -> Any:
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200, (url, answer.content)
    return answer


def list_orderings() -> Iterator[Any]:
    for view in VIEWS:
        for ordering in ("", *view.orderings):
            yield pytest.param(view, ordering, id=f"{view.__name__} {ordering}")


def find_keys(view: Any, ordering: str) -> list[str]:
    """In the order that Django itself gives them."""
    key = "-pk" if ordering.startswith("-") else "pk"
    rows = view.queryset.order_by(*([ordering] if ordering else []), key)
    return [str(row.pk) for row in rows]


def shown_keys(view: Any, page: dict[str, Any]) -> list[str]:
    name = next(iter(find_fields(view.read_serializer)))
    return [str(row[name]) for row in page["results"]]


def test_the_check_has_nothing_to_say() -> None:
    assert check_projections() == []


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("view", "ordering"), [*list_orderings()])
@pytest.mark.parametrize("start", ["", "&page=1"])
def test_a_list_is_walked_to_its_end_and_back(view: Any, ordering: str, start: str, client: APIClient) -> None:
    wanted = find_keys(view, ordering)
    order = f"&ordering={ordering}" if ordering else ""
    pages = [read(client, f"{address(view)}?page_size=2{order}{start}").json()]
    while pages[-1]["next"]:
        pages.append(read(client, pages[-1]["next"]).json())
    assert [key for page in pages for key in shown_keys(view, page)] == wanted
    page = pages.pop()
    while page["previous"]:
        page = read(client, page["previous"]).json()
        assert page["results"] == pages.pop()["results"]
    assert not pages


@pytest.mark.parametrize("view", VIEWS)
def test_a_cursor_goes_on_whoever_gave_it(view: Any, client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(client, f"{address(view)}?page_size=3").json()
    second = read(client, first["next"]).json()
    monkeypatch.setattr(foreign.Foreign, "compiled", False)
    assert read(client, f"{address(view)}?page_size=3").json() == first
    assert read(client, first["next"]).json() == second


def list_questions(view: Any) -> Iterator[str]:
    fields, paths = list(find_fields(view.read_serializer)), list_expandable(view.read_serializer)
    yield ""
    yield "?page=1"
    yield from (f"?fields={name}" for name in fields if name not in ("parts", "labels"))
    yield from (f"?expand={path}" for path in paths)
    if paths:
        yield f"?expand={','.join(paths)}&page=1&count=exact"


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
def test_both_ways_give_the_same_bodies(view: Any, client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{address(view)}{quote(key)}/" for key in find_keys(view, "")]
    asked = [f"{address(view)}{question}" for question in list_questions(view)]
    asked += [f"{url}{question}" for url in rows for question in list_questions(view) if "page" not in question]
    answers = {url: read(client, url) for url in asked}
    monkeypatch.setattr(foreign.Foreign, "compiled", False)
    for url, answer in answers.items():
        again = read(client, url)
        assert again.content == answer.content, url
        assert again["ETag"] == answer["ETag"]


@pytest.mark.usefixtures("compiled")
def test_a_key_is_found_by_its_own_text(client: APIClient) -> None:
    for view in VIEWS:
        for key in find_keys(view, ""):
            row = client.get(f"{address(view)}{quote(key)}/").json()
            assert shown_keys(view, {"results": [row]}) == [key]
        for key in ("nothing", "-1", "9" * 30, "00000000-0000-0000-0000-00000000ffff"):
            assert client.get(f"{address(view)}{key}/").status_code == 404, (view, key)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("view", VIEWS)
def test_a_browser_is_shown_a_page(view: Any, client: APIClient) -> None:
    page = read(client, f"{address(view)}?page_size=2", Accept="text/html").content.decode()
    assert 'rel="next"' in page
    read(client, f"{address(view)}{quote(find_keys(view, '')[-1])}/", Accept="text/html")


@pytest.mark.usefixtures("compiled")
def test_what_stands_for_a_row_is_what_its_serializer_names(client: APIClient) -> None:
    item = Item.objects.exclude(maker=None).exclude(tag=None).exclude(shelf=None).first()
    assert item is not None
    row = read(client, f"/items/{item.pk}/?expand=parts,labels").json()
    assert row["maker"] == row["made_by"] == item.maker_id
    assert row["tag"] == row["tag_id"] == str(item.tag_id)
    assert row["shelf"] == item.shelf_id
    assert [part["name"] for part in row["parts"]] == sorted((part["name"] for part in row["parts"]), reverse=True)
    expanded = read(client, f"/items/{item.pk}/?expand=maker,tag,shelf").json()
    assert expanded["maker"] == {"code": item.maker_id, "label": item.maker.label}
    assert expanded["shelf"] == {"code": item.shelf_id}


@pytest.mark.parametrize("suffix", ["csv", "ndjson"])
def test_an_export_has_the_same_rows(suffix: str) -> None:
    expand = frozenset() if suffix == "csv" else frozenset(list_expandable(ItemRead))
    selection = build_selection(ItemRead, expand)
    resource = Resource("items", "", ItemRead)
    query = Query(resource, Item.objects.using("default").order_by(), ItemRead, selection, FORMATS[suffix])
    chunks = list(read_chunks(query, 0, find_ends(query)[1]))
    assert sum(chunk.rows for chunk in chunks) == 7
    lines = b"".join(chunk.data for chunk in chunks).decode()
    assert "B9" in lines
    assert str(foreign.Tag.objects.get(name="tag 1").pk) in lines


# -- what is refused at start -------------------------------------------------------------------------------------


def make_serializer(model: Any, name: str, field: Any = None, **meta: Any) -> Any:
    """`Bad`, of `model`, with the one field `name`."""
    meta_class = type("Meta", (), {"model": model, "fields": (name,)} | meta)
    members = {"Meta": meta_class} | ({name: field} if field is not None else {})
    return type("Bad", (drf.ModelSerializer,), members)


class TagWithoutSlug(drf.ModelSerializer[Tag]):
    class Meta:
        model = Tag
        fields = ("id",)


class Shout(drf.CharField):
    def to_representation(self, value: Any) -> str:
        return str(value).upper()


class Loud(drf.ModelSerializer[Maker]):
    class Meta:
        model = Maker
        fields = ("code",)
        slug_field = "code"

    def to_representation(self, instance: Maker) -> Any:
        return {"code": instance.code.upper()}


class BoxRead(drf.ModelSerializer[Box]):
    class Meta:
        model = Box
        fields = ("id",)


TAG = r"Bad\.tag: Tag has no column slug.*TagWithoutSlug\.Meta\.slug_field"
KEYS = drf.PrimaryKeyRelatedField(many=True, read_only=True)

REFUSED: list[tuple[Any, str]] = [
    (make_serializer(Item, "tag", TagWithoutSlug()), TAG),
    (make_serializer(Item, "maker", SlugRelatedField("slug", read_only=True)), r"Bad\.maker: Maker has no column slug"),
    (make_serializer(Item, "boxes", BoxRead(many=True), shown=("boxes",)), r"Bad\.boxes: Box is ordered by .*Lower"),
    (make_serializer(Item, "title", Shout()), r"Bad\.title: Shout\.to_representation\(\) computes in Python"),
    (make_serializer(Item, "made_at", drf.DateTimeField(format="%Y")), r"Bad\.made_at: a time is written as RFC 3339"),
    (make_serializer(Item, "weight", drf.DecimalField(8, 3, normalize_output=True)), r"Bad\.weight: a decimal"),
    (make_serializer(Item, "key", drf.CharField()), r"Bad\.key: CharField over IntegerField has no form"),
    (make_serializer(Item, "part_set", KEYS), r"Bad\.part_set: Item has no column part_set"),
    (make_serializer(Item, "shout", drf.SerializerMethodField()), r"Bad\.shout: SerializerMethodField"),
    (
        make_serializer(Box, "size"),
        r"Bad\.size: FloatField has no form",
    ),
    (make_serializer(Crate, "size"), r"Bad\.size: size is a column of Box, in another table"),
    (
        make_serializer(Maker, "url", HyperlinkedIdentityField("maker-detail")),
        r"Bad\.url: pk must be a number or",
    ),
    (make_serializer(Item, "url", HyperlinkedIdentityField("nowhere")), r"Bad\.url: there is no route nowhere with pk"),
    (make_serializer(Item, "title", shown=("title",)), r"Bad\.Meta\.shown: title is not a nested serializer"),
]


@pytest.mark.parametrize(("serializer", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_what_would_fail_is_named_at_start(serializer: Any, sentence: str) -> None:
    reasons = set(find_reasons(serializer))
    assert reasons
    assert all(re.search(sentence, reason) for reason in reasons), reasons


def test_a_serializer_that_writes_its_rows_itself_is_named_where_it_is_expanded() -> None:
    reasons = set(find_reasons(make_serializer(Item, "maker", Loud())))
    assert reasons == {"Bad.maker: Loud.to_representation() computes in Python"}


class Unordered(foreign.Foreign):
    queryset = Item.objects.all()
    read_serializer = make_serializer(Item, "title")


def test_an_order_in_which_no_cursor_can_stand_is_named_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for ordering, reason in (
        ("maker", r"maker \(the order of Maker\)"),
        ("maker_id", r"maker_id \(may be null\)"),
        ("maker__label", r"maker__label \(may be null\)"),
        ("labels__text", "labels__text"),
        ("nothing", ".*'nothing'"),
    ):
        monkeypatch.setattr(Unordered, "default_ordering", ordering)
        [sentence] = find_unordered(Unordered)
        assert re.search(f"Unordered has cursors, but its rows are ordered by {reason}", sentence)
    monkeypatch.setattr(Unordered, "default_ordering", "-made_at")
    assert list(find_unordered(Unordered)) == []
    assert check_orders() == []


def test_an_export_of_rows_whose_key_is_no_number_is_named_at_start() -> None:
    resource = Resource("makers", "", foreign.MakerRead)
    assert list(find_unexportable(resource)) == [
        "MakerRead: config.Maker.code is not a number, and exports need a numeric key"
    ]
    assert list(find_unexportable(Resource("items", "", ItemRead))) == []
