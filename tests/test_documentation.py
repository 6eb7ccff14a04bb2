"""The guides are true: what they name exists, what exists is named in them, and their examples are what is answered."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.exceptions import APIException
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIClient

from accounts.models import User
from catalog.filters import ProductFilters
from catalog.serializers import ProductRead
from catalog.views.products import ProductViewSet
from config import env
from config.api.problems.error_handler import CODES
from config.api.problems.errors import ApiError
from config.api.reads.pagination import KeysetPagination, PageNumberPagination
from config.api.reads.selections import PARAMETERS, list_expandable
from config.api.schema.components import HEADERS
from config.metrics import Figures
from config.operation.scrape import Families
from config.serving.bodies import STRANGER_BYTES
from config.urls import urlpatterns as real_patterns
from tests import figures
from tests.factories import make_brand, make_product

ROOT = Path(__file__).parent.parent
FACE = ROOT / "README.md"
# The most lines of each guide.
LENGTHS = {
    ".": 200,
    "config": 270,
    "config/api": 300,
    "config/api/push": 50,
    "config/api/schema": 290,
    "config/api/webhooks": 100,
    "config/mcp": 50,
    "config/telemetry": 55,
    "catalog": 285,
    "catalog/changes": 125,
    "catalog/edits": 40,
    "catalog/facets": 60,
    "catalog/imports": 110,
    "catalog/media": 40,
    "catalog/prices": 80,
    "accounts": 125,
    "accounts/ordering": 90,
    "exports": 125,
    "exports/feeds": 60,
    "tests": 125,
}
FOLDERS = [folder for folder in LENGTHS if folder != "."]
NOTES = [ROOT / ".github" / name for name in ("CONTRIBUTING.md", "SECURITY.md")]
GUIDES = [FACE, *(ROOT / folder / "README.md" for folder in FOLDERS)]
TEXT = "\n".join(guide.read_text() for guide in GUIDES)
# Whose exceptions are answered.
PACKAGES = ("config", "catalog", "accounts", "exports", "rest_framework")
QUOTED = set(re.findall(r"`([^`\n]+)`", TEXT))


def find_section(heading: str) -> str:
    """What stands below the only heading like this, up to the next one."""
    [section] = TEXT.split(f"\n{heading}\n")[1:]
    return section.partition("\n#")[0]


def read_prose(guide: Path) -> str:
    """Without what stands in fences."""
    return re.sub(r"^```.*?^```$", "", guide.read_text(), flags=re.MULTILINE | re.DOTALL)


def list_anchors(guide: Path) -> list[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", read_prose(guide), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def list_paragraphs(guide: Path) -> list[str]:
    """Each item of a list and each cell of a table is one, too."""
    blocks = re.split(r"\n\s*\n|\n(?=- |[0-9]+\. |\|)", read_prose(guide))
    return [part for block in blocks for part in (block.split(" | ") if block.startswith("|") else [block])]


def list_links(guide: Path) -> list[str]:
    return [
        link for link in re.findall(r"\]\(([^)\s]+)\)", re.sub("`[^`\n]*`", "", read_prose(guide))) if "://" not in link
    ]


def leads_somewhere(guide: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = guide.parent / path if path else guide
    return target.exists() and (not anchor or anchor in list_anchors(target))


def test_each_link_and_anchor_leads_somewhere() -> None:
    links = [(guide, link) for guide in (*GUIDES, *NOTES) for link in list_links(guide)]
    assert len(links) > 100
    assert [f"{guide}: {link}" for guide, link in links if not leads_somewhere(guide, link)] == []


def test_no_anchor_is_made_twice() -> None:
    for guide in (*GUIDES, *NOTES):
        anchors = list_anchors(guide)
        assert len(anchors) == len(set(anchors)), guide


def test_no_paragraph_is_long() -> None:
    paragraphs = [(guide, text) for guide in (*GUIDES, *NOTES) for text in list_paragraphs(guide)]
    assert len(paragraphs) > 500
    assert [f"{guide}: {text[:60]}" for guide, text in paragraphs if len(text.split()) > 90] == []


def test_each_guide_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in list_links(FACE)}
    assert {*GUIDES[1:], *NOTES} <= linked


def test_each_file_that_is_named_exists() -> None:
    named = {name for name in QUOTED if re.fullmatch(r"(config|catalog|accounts|exports|tests)/[\w/]+\.\w+", name)}
    answered = {
        name
        for name in named
        if name.startswith("exports/") and name.endswith((".csv", ".ndjson", ".google", ".google_tsv", ".agentic"))
    }
    assert [name for name in sorted(named - answered) if not (ROOT / name).exists()] == []


def test_each_stage_of_a_read_has_its_module() -> None:
    drawn = find_section("## A read, stage by stage").split("```")[1]
    named = re.findall(r"(?:[a-z_]+/)?[a-z_]+\.py|[a-z_]+/", drawn)
    assert len(named) > 10
    assert [
        name for name in named if not any((ROOT / above / name).exists() for above in ("config", "config/api"))
    ] == []


@pytest.mark.slow
def test_each_name_that_a_change_needs_exists() -> None:
    section = TEXT.split("\n## How to add\n")[1].partition("\n## ")[0]
    named = set(re.findall(r"`([A-Za-z_.]{4,})(?:\(\))?`", section))
    code = {
        word
        for folder in ("config", "catalog", "accounts", "exports", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for word in re.findall(r"\w+", path.read_text())
    }
    missing = {
        name for name in named if not {*name.split(".")} <= code and not name.endswith((".py", ".toml", ".yaml"))
    }
    assert len(named) > 40
    assert not missing


def test_no_guide_is_long() -> None:
    lengths = {folder: len((ROOT / folder / "README.md").read_text().splitlines()) for folder in LENGTHS}
    assert {folder: length for folder, length in lengths.items() if length > LENGTHS[folder]} == {}


def test_the_changelog_begins_with_this_release() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(re.escape(settings.VERSION) + r" - \d{4}-\d{2}-\d{2}", headings[1])


def find_subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for below in kind.__subclasses__():
        yield below
        yield from find_subclasses(below)


def find_codes() -> set[str]:
    """Every code that a problem document may bear, of our own errors and of DRF's."""
    kinds = [kind for kind in find_subclasses(APIException) if kind.__module__.startswith(PACKAGES)]
    kinds = [kind for kind in kinds if kind is not ApiError and kind.__name__ != "Throttled"]  # throttling.py's own
    return {CODES.get(kind.default_code, kind.default_code) for kind in kinds}


@pytest.mark.parametrize("name", env.NAMES)
def test_each_setting_is_explained(name: str) -> None:
    assert re.search(rf"^\| .*`{name}`.* \|$", TEXT, re.MULTILINE)


def test_each_setting_that_is_explained_exists() -> None:
    named = re.findall(r"^\| ((?:`[A-Z_]+` ?)+)\|", find_section("### Settings"), re.MULTILINE)
    assert {name for cell in named for name in re.findall(r"`([A-Z_]+)`", cell)} == set(env.NAMES)


def test_each_parameter_is_explained() -> None:
    parameters = {*PARAMETERS, *ProductFilters.base_filters, "ordering", "attr.NAME"}
    parameters |= {*KeysetPagination.parameters, *PageNumberPagination.parameters}
    assert parameters <= QUOTED
    assert set(list_expandable(ProductRead)) <= QUOTED
    assert {name.lstrip("-") for name in ProductViewSet.orderings} <= QUOTED


def test_each_error_code_is_explained() -> None:
    table = set(re.findall(r"^\| `([a-z_]+)` \| [45]\d\d \|", TEXT, re.MULTILINE))
    assert table == find_codes()


def test_the_guides_say_how_much_a_stranger_may_send() -> None:
    said = re.findall(r"(\d+) KiB to sign in|without credentials that is (\d+) KiB", TEXT)
    assert {int(first or second) * 1024 for first, second in said} == {STRANGER_BYTES}


def test_each_metric_is_explained() -> None:
    families = [family.name for family in Families(Figures()).collect()]
    named = {name.removesuffix("_total") for name in QUOTED if re.fullmatch("tenfold_[a-z_]+", name)}
    assert named == set(families)


def test_what_the_cache_says_is_explained() -> None:
    [sentence] = re.findall(r"^`X-Cache` says (.*?)\. ", TEXT, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", sentence)) == set(HEADERS["X-Cache"][1]["enum"])


@pytest.mark.django_db
def test_the_example_of_explain_is_what_is_answered(staff: APIClient) -> None:
    [(path, said)] = re.findall(r"(/api/v1/\S+explain=1)'\n(.*?)```", TEXT, re.DOTALL)
    make_product()
    [statement] = staff.get(path).json()["statements"]
    [(sql, parameter)] = re.findall(r'"sql": "(.*?)…", "parameters": \[…, (.*?)\]', said)
    assert statement["parameters"][-1] == json.loads(parameter)
    # The guide shows PostgreSQL's.
    assert connection.vendor != "postgresql" or statement["sql"].startswith(json.loads(f'"{sql}"'))
    assert re.findall(r'"(database|sql|parameters|ms|plan)":', said) == list(statement)


# What the table says of each entry of tests/faults.json.
FAULTS = {
    "1,000 slow clients, nginx": "the 99th percentile of other clients is {ratio:.1f} times that without slow clients",
    "20 slow clients, no proxy": "without slow clients; {ratio:.1f} times |",
    "2x the load": (
        "{share:.2f} of the good answers at the peak, for the processor time that the clients leave; "
        "`/livez` within {livez_p99_ms:.0f} ms"
    ),
    "PostgreSQL restarted": "back {back_after_s:.1f} s after PostgreSQL is, {lost} of {orders:,} orders lost",
    "Redis cut, hung, slow, flushed, restarted": "{failed} of {reads:,} answers failed, {stale} stale",
    "SQLite killed": "{lost} of {orders:,} acknowledged orders lost",
    "disk full": "{failed} of {reads:,} reads failed",
    "log disk full": "{failed} of {reads:,} reads failed",
    "primary killed, replica promoted": (
        "{failed} of {reads:,} reads failed, {stale} stale; {lost} acknowledged writes lost, "
        "the next one {back_after_s:.1f} s after the switch"
    ),
    "rolling restart": "{failed} of {requests:,} failed in {restarts} restarts",
    "web worker killed": "{failed} requests of 8 busy clients failed",
    "worker stopped, queue in Redis": "{handed_over_s:.1f} s by Redis",
    "worker stopped, queue in the database": "{handed_over_s:.1f} s by the database",
}


def test_the_table_of_faults_says_what_was_measured() -> None:
    table = find_section("### When parts fail")
    measured = json.loads(figures.FILE.read_text())
    assert set(measured) == set(FAULTS)
    for fault, values in measured.items():
        assert FAULTS[fault].format(**values) in table, fault


def test_each_make_target_is_explained() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {f"make {target}" for target in targets} <= QUOTED


def read_examples() -> list[tuple[str, Any]]:
    """`(path, answer)` of each `curl` that needs no token, where the whole answer stands below."""
    asked = r"```console\n\$ curl 'http://127.0.0.1:8000(/\S+)'\n"
    return [(path, json.loads(body)) for path, body in re.findall(asked + r"(\{.*?)```", TEXT, re.DOTALL)]


def read_posts() -> list[tuple[str, Any, Any]]:
    """`(path, body, answer)` of each `curl -X POST`; {} where no answer stands below."""
    posted = r"curl -X POST http://127\.0\.0\.1:8000(/\S+) [^`]*?-d '([^']*)'\n(.*?)```"
    found = re.findall(posted, TEXT.replace("'$PASSWORD'", "password"), re.DOTALL)
    return [(path, json.loads(body), json.loads(answer or "{}")) for path, body, answer in found]


def check_answer(real: Any, said: Any, place: str) -> None:
    """Each member and value as the guide has it; keys of rows are the database's own, and `…` stands for anything."""
    match said:
        case dict():
            # PostgreSQL keeps the members of a jsonb in an order of its own.
            in_order = sorted if place.endswith(".attributes") else list
            assert in_order(real) == in_order(said), place
            for name in said:
                check_answer(real[name], said[name], f"{place}.{name}")
        case list():
            assert len(real) == len(said), place
            for index, row in enumerate(said):
                check_answer(real[index], row, f"{place}[{index}]")
        case str() if not place.endswith(".request_id"):
            pattern = re.sub("/[0-9]+/", "/[0-9]+/", re.escape(said).replace("…", ".*"))
            assert re.fullmatch(pattern, real), (place, real)
        case int() if place.endswith(".id"):
            assert isinstance(real, int), place
        case _:
            assert real == said or place.endswith(".request_id"), place


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.django_db
def test_each_example_is_what_is_answered(client: APIClient, staff: APIClient) -> None:
    call_command("seed", "--products", "10000", "--json")  # as make run does
    examples = read_examples()
    assert len(examples) >= 4
    for path, answer in examples:
        check_answer(client.get(path, headers={"Host": "127.0.0.1:8000"}).json(), answer, path)
    User.objects.create_user("admin@example.com", "password")
    posts = read_posts()
    assert len(posts) >= 6
    for path, body, answer in posts:
        given = staff.post(path, body)
        assert given.status_code in (200, 201), (path, given.content)
        assert list(answer) in ([], list(given.json())), path


@pytest.mark.django_db
def test_the_example_of_an_import_says_what_is_said(tmp_path: Path) -> None:
    guide = (ROOT / "catalog/imports/README.md").read_text()
    [(rows, line, refused)] = re.findall(
        r"printf '(.*?)' > tea\.csv.*?\n(line 3.*?)\n.*?\nCommandError: (.*?)\n", guide, re.DOTALL
    )
    file, out = tmp_path / "tea.csv", StringIO()
    file.write_text(rows.replace("\\n", "\n"))
    with pytest.raises(CommandError, match=re.escape(refused)):
        call_command("import_products", str(file), stdout=out, stderr=StringIO())
    assert line in " ".join(out.getvalue().split())


def run_example() -> dict[str, Any]:
    """What the code under "Views of your own" defines."""
    defined: dict[str, Any] = {"__name__": __name__}
    exec(find_section("## Views of your own").partition("```python\n")[2].partition("```")[0], defined)  # ours
    return defined


EXAMPLE = run_example()
router = SimpleRouter()
for name in ("PlainLamps", "Lamps"):
    router.register(name.lower(), EXAMPLE[name], basename=name.lower())
urlpatterns = [*router.urls, *real_patterns]


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_views_of_ones_own_are_served_as_it_says(staff: APIClient, django_assert_num_queries: Any) -> None:
    for number in range(7):
        make_product(title=f"Lamp {number}", brand=make_brand("Acme"))
    for path in ("plainlamps", "lamps"):
        url, rows = f"/{path}/?page_size=3", []
        while url:
            with django_assert_num_queries(1):
                page = staff.get(url).json()
            rows += page["results"]
            url = page["next"]
        assert len({row["id"] for row in rows}) == 7
        assert list(rows[0]) == ["id", "name"]
        assert {row["name"][-8:] for row in rows} == {" by Acme"}
    with django_assert_num_queries(1):
        assert staff.get("/lamps/?fields=name&ordering=price&page_size=2").json()["results"]
    assert staff.get(f"/lamps/{rows[0]['id']}/")["ETag"]
