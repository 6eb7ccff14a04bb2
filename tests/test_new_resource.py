"""The worked example of config/api/README.md, built as it stands there: what it promises is answered, at its price."""

import json
import re
import shutil
from difflib import unified_diff
from itertools import batched
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.launching import run_command

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "config/api/README.md"
APPS = ("config", "catalog", "accounts", "exports")

MOST_FILES, MOST_LINES = 9, 80

pytestmark = pytest.mark.slow


# -- the guide ---------------------------------------------------------------------------------------------------


def read_section() -> str:
    _, _, section = GUIDE.read_text().partition("### A resource\n")
    # A block's first line is no heading: it names a file.
    return re.split(r"^#+ [A-Z]", section, maxsplit=1, flags=re.MULTILINE)[0]


def read_blocks() -> list[tuple[str, Path, str]]:
    """`(language, file, code)`; a comment with a path begins a file."""
    found = re.findall(r"^```(python|diff)\n(.*?)^```$", read_section(), re.MULTILINE | re.DOTALL)
    files = [(language, re.split(r"^# (\S+\.py)\n", block, flags=re.MULTILINE)[1:]) for language, block in found]
    return [(language, Path(name), code) for language, parts in files for name, code in batched(parts, 2)]


def paste(text: str, code: str) -> str:
    """The imports of `code` among those at the top of a module, the rest at its end."""
    imports = "".join(re.findall(r"^from .*\n", code, re.MULTILINE))
    rest = code.removeprefix(imports).strip("\n")
    head, first, tail = text.partition("\nfrom ")
    return f"{head}\n{imports}{first.lstrip()}{tail}\n\n{rest}\n"


def apply(text: str, code: str) -> str:
    """Each part of a diff in its only place."""
    for part in code.split("@@\n"):
        lines = part.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        assert text.count(old) == 1, old
        text = text.replace(old, "".join(line[1:] for line in lines if line[0] in " +"))
    return text


def build(folder: Path) -> None:
    """A copy of the project with the blocks in it. Bytecode is valid for a copy, and compiling took 3 s of CPU."""
    for app in APPS:
        # A process beside us may be writing a file of bytecode, under a name of its own.
        shutil.copytree(ROOT / app, folder / app, ignore=shutil.ignore_patterns("*.pyc.*"))
    for name in ("manage.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for language, name, code in read_blocks():
        put = paste if language == "python" else apply
        (folder / name).write_text(put((folder / name).read_text(), code))


def list_added(folder: Path) -> dict[Path, list[str]]:
    """By file, the lines that the project hasn't got; blank ones aside."""
    added = {}
    for path in sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts):
        name = path.relative_to(folder)
        before = (ROOT / name).read_text().splitlines() if (ROOT / name).exists() else []
        lines = list(unified_diff(before, path.read_text().splitlines(), n=0, lineterm=""))[2:]
        if new := [line[1:] for line in lines if line.startswith("+") and line[1:].strip()]:
            added[name] = new
    return added


# -- the project -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One with our tables, of this module alone."""
    return f"sqlite:///{shutil.copy(migrated, tmp_path_factory.mktemp('database'))}"


class Project:
    """The guide's, in a folder of its own."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.own = {"DATABASE_URL": database, "REDIS_URL": settings.REDIS_URL, "PYTHONPATH": str(folder)}
        self.own["DJANGO_SETTINGS_MODULE"] = "config.settings"
        build(folder)

    def run(self, *arguments: str) -> str:
        done = run_command(*arguments, folder=self.folder, **self.own)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, database: str) -> Project:
    """With its commands run, as the guide has them."""
    made = Project(tmp_path_factory.mktemp("project"), database)
    commands = re.findall(r"^\$ \S+/python (.*)$", read_section(), re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["makemigrations", "migrate"]
    for command in commands:
        made.run(*command.split())
    return made


def test_it_takes_few_files_and_lines(project: Project) -> None:
    added = list_added(project.folder)
    lines = sum(len(new) for new in added.values())
    [migration] = [new for name, new in added.items() if "migrations" in name.parts]
    assert len(added) <= MOST_FILES
    assert lines <= MOST_LINES
    said = re.search(r"takes (\d+) files and (\d+) lines, (\d+) of which", read_section())
    assert said, "the guide says what it costs"
    assert tuple(map(int, said.groups())) == (len(added), lines, len(migration))


def test_no_sql_is_written_by_hand(project: Project) -> None:
    added = [line for new in list_added(project.folder).values() for line in new]
    assert not [line for line in added if re.search(r"\b(TRIGGER|INSERT|SELECT|RunSQL|execute)\b", line)]
    assert any("FollowTable" in line for line in added)


# -- what it answers -----------------------------------------------------------------------------------------------

CODE = """
import json
from io import StringIO
from pathlib import Path

import django

django.setup()

from django.core.management import call_command
from django.test import Client

import catalog
from accounts.models import User
from catalog.models import Supplier

assert Path(catalog.__file__).is_relative_to(Path.cwd())
checked = StringIO()
call_command("makemigrations", check_changes=True, dry_run=True, stdout=checked)
call_command("check", databases=["default"], stdout=checked)
for name, country in (("Acme", "DE"), ("Brio", "SE"), ("Coop", "DE")):
    Supplier.objects.create(name=name, slug=name.lower(), country=country)
anybody, staff = Client(HTTP_HOST="localhost"), Client(HTTP_HOST="localhost")
staff.force_login(User.objects.create_superuser("root@example.com", "root"))
LIST = "/api/v1/suppliers/"

def ask(address, client=anybody):
    answer = client.get(address)
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return {"status": answer.status_code, "cache": answer.get("X-Cache"), "etag": answer.get("ETag"),
            "body": body.decode()}

def walk(address):
    "The pages, each by the cursor of the one before."
    page = json.loads(ask(address)["body"])
    yield [row["slug"] for row in page["results"]]
    while cursor := page["next_cursor"]:
        page = json.loads(ask(f"{address}&cursor={cursor}")["body"])
        yield [row["slug"] for row in page["results"]]

seen = {
    "checked": checked.getvalue(),
    "root": ask("/api/v1/"),
    "list": ask(LIST),
    "by page": [ask(f"{LIST}?page={number}&page_size=2&fields=slug") for number in (1, 2)],
    "by cursor": list(walk(LIST + "?page_size=2&ordering=-slug")),
    "detail": ask(LIST + "brio/"),
    "missing": ask(LIST + "nobody/"),
    "filtered": ask(LIST + "?country=DE&fields=slug"),
    "slip": ask(LIST + "?contry=DE"),
    "export to nobody": ask("/api/v1/exports/suppliers.csv"),
    "csv": ask("/api/v1/exports/suppliers.csv?country=DE&fields=id,slug,country", staff),
    "ndjson": ask("/api/v1/exports/suppliers.ndjson?fields=slug", staff),
    "admin": ask("/admin/catalog/supplier/", staff),
    "page": ask(f"/admin/catalog/supplier/{Supplier.objects.get(slug='acme').pk}/change/", staff),
    "feed": ask("/api/v1/changes/?entity=supplier", staff),
    "schema": ask("/api/v1/schema/"),
    "kept": [ask(LIST + "?country=SE") for _ in range(3)],
}
Supplier.objects.filter(slug="brio").update(name="Brio Toys")
seen["turned"] = [ask(LIST + "?country=SE") for _ in range(2)]
seen["changed"] = ask("/api/v1/changes/?entity=supplier", staff)
Path("seen.json").write_text(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(project: Project) -> dict[str, Any]:
    """Every answer, by a name of its own."""
    project.run("-c", CODE)
    return dict(json.loads((project.folder / "seen.json").read_text()))


def test_nothing_is_missing_in_it(seen: dict[str, Any]) -> None:
    assert seen["checked"].startswith("No changes detected\nSystem check identified no issues")


def read_rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    assert answer["status"] == 200, answer
    return list(json.loads(answer["body"])["results"])


def test_it_is_listed_by_page_and_by_cursor(seen: dict[str, Any]) -> None:
    assert json.loads(seen["root"]["body"])["suppliers"] == "http://localhost/api/v1/suppliers/"
    assert [row["name"] for row in read_rows(seen["list"])] == ["Acme", "Brio", "Coop"]
    assert [len(read_rows(page)) for page in seen["by page"]] == [2, 1]
    assert read_rows(seen["by page"][1]) == [{"slug": "coop"}]
    assert seen["by cursor"] == [["coop", "brio"], ["acme"]]


def test_a_row_is_shown(seen: dict[str, Any]) -> None:
    row = json.loads(seen["detail"]["body"])
    assert list(row) == ["id", "slug", "name", "country", "version", "created_at", "updated_at", "url"]
    assert (row["slug"], row["country"], row["version"]) == ("brio", "SE", 1)
    assert seen["detail"]["etag"].startswith("W/")
    assert seen["missing"]["status"] == 404


def test_it_is_filtered_and_an_error_is_refused(seen: dict[str, Any]) -> None:
    assert read_rows(seen["filtered"]) == [{"slug": "acme"}, {"slug": "coop"}]
    problem = json.loads(seen["slip"]["body"])
    assert (seen["slip"]["status"], problem["code"]) == (400, "unknown_parameter")
    assert problem["hint"] == "Did you mean country?"


def test_it_is_exported(seen: dict[str, Any]) -> None:
    assert seen["export to nobody"]["status"] == 401
    lines = seen["csv"]["body"].splitlines()
    assert [lines[0], *(line.partition(",")[2] for line in lines[1:])] == ["id,slug,country", "acme,DE", "coop,DE"]
    rows = [json.loads(line) for line in seen["ndjson"]["body"].splitlines()]
    assert rows[:3] == [{"slug": "acme"}, {"slug": "brio"}, {"slug": "coop"}]
    assert "/api/v1/exports/suppliers.ndjson" in seen["schema"]["body"]


def test_staff_find_it_in_the_admin(seen: dict[str, Any]) -> None:
    assert (seen["admin"]["status"], seen["page"]["status"]) == (200, 200)
    assert "Brio" in seen["admin"]["body"]
    assert re.search(r"local_shipping\s*</span>", seen["admin"]["body"])


def test_its_changes_are_in_the_feed(seen: dict[str, Any]) -> None:
    assert [row["op"] for row in read_rows(seen["feed"])] == ["create"] * 3
    last = read_rows(seen["changed"])[-1]
    assert (last["entity"], last["op"], last["version"]) == ("supplier", "update", 2)


def test_it_is_kept_until_it_changes(seen: dict[str, Any]) -> None:
    assert [answer["cache"] for answer in seen["kept"]] == ["miss", "miss", "hit"]
    assert seen["turned"][0]["cache"] == "miss"
    assert [row["name"] for answer in seen["turned"] for row in read_rows(answer)] == ["Brio Toys"] * 2
