"""compose.yaml and Dockerfile say what the code says: variables, commands, ports, folders, patience."""

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands
from django.urls import resolve

from config import env
from config.api.models import STALE_SECONDS
from config.process.capacity import count_threads
from config.server import STOP_SECONDS
from tests.config.test_env import read_settings
from tests.launching import run_command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "tenfold")
DOCKERFILE = (ROOT / "Dockerfile").read_text()

# What somebody sets who starts it; nobody else's name.
GIVEN = {
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP",
    "POSTGRES_PASSWORD": "secret",
    "REDIS_PASSWORD": "secret",
}
REFERENCE = re.compile(r"\$\{([A-Z_]+)(?::([-?])((?:[^{}]|\$\{[^{}]*\})*))?\}")


def fill_in(text: str, given: dict[str, str]) -> str:
    """As compose does: `${NAME:-default}`, `${NAME:?what to do}`, one within the other."""

    def choose(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if name in given:
            return given[name]
        assert kind == "-", f"{name} has to be set: {rest}"
        return fill_in(rest, given)

    return REFERENCE.sub(choose, text)


def read_environment(**more: str) -> dict[str, str]:
    return {name: fill_in(str(text), GIVEN | more) for name, text in COMPOSE["x-tenfold"]["environment"].items()}


def read_instructions(name: str) -> list[str]:
    """What follows upon an instruction, each time that it stands there."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.removeprefix(f"{name} ").strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


# -- compose.yaml -------------------------------------------------------------------------------------------------


def test_it_sets_our_variables_and_asks_for_no_others() -> None:
    assert set(read_environment()) <= set(env.NAMES)
    asked = {found[0] for found in REFERENCE.findall((ROOT / "compose.yaml").read_text())}
    assert asked <= {*env.NAMES, "POSTGRES_PASSWORD", "REDIS_PASSWORD"}


def test_what_it_sets_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings(monkeypatch, **read_environment())["DATABASES"]["default"]["HOST"] in SERVICES


def test_what_it_sets_starts() -> None:
    more = {"HTTPS": "true", "DATABASE_REPLICA_URLS": "postgres://tenfold:secret@replica:5432/tenfold"}
    done = run_command("manage.py", "check", "--fail-level", "ERROR", **read_environment(**more))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_what_has_no_safe_default_must_be_set(name: str) -> None:
    given = {key: value for key, value in GIVEN.items() if key != name}
    with pytest.raises(AssertionError, match=name):
        fill_in(" ".join(map(str, COMPOSE["x-tenfold"]["environment"].values())), given)


def test_its_services_run_commands_that_there_are() -> None:
    assert {"migrate", "web", "worker"} == set(OURS)
    commands = {name: SERVICES[name].get("command") for name in OURS}
    assert commands["web"] is None, "the image's own command"
    for name in ("migrate", "worker"):
        assert commands[name][:2] == ["python", "manage.py"]
        assert commands[name][2] in get_commands()
    # What the Makefile runs is what the containers run.
    makefile = (ROOT / "Makefile").read_text()
    assert f"@exec $(BIN)/{' '.join(commands['worker'])}\n" in makefile
    assert f"@exec $(BIN)/{' '.join(read_command())}\n" in makefile


def test_services_and_volumes_that_it_names_are_in_it() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= SERVICES.keys()
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
    environment = read_environment()
    for name in ("DATABASE_URL", "REDIS_URL"):
        assert urlsplit(environment[name]).hostname in SERVICES


def test_exports_and_pictures_lie_where_server_and_workers_look_for_them() -> None:
    folders = [volume.partition(":")[2] for volume in COMPOSE["x-tenfold"]["volumes"]]
    names = ("EXPORT_STORAGE_URL", "MEDIA_STORAGE_URL")
    assert [read_environment()[name] for name in names] == [f"file://{folder}" for folder in folders]
    home = read_instructions("WORKDIR")[0]
    assert folders == [f"{home}/exports_files", f"{home}/media_files"]


def test_a_server_has_the_time_that_it_takes_to_stop() -> None:
    patience = {name: int(SERVICES[name]["stop_grace_period"].removesuffix("s")) for name in ("web", "worker")}
    assert patience["web"] >= settings.DRAIN_SECONDS + STOP_SECONDS + 5
    assert patience["worker"] > STALE_SECONDS


def test_redis_never_drops_what_waits_in_it() -> None:
    words = " ".join(SERVICES["redis"]["command"])
    assert "--maxmemory-policy noeviction" in words
    assert "--appendonly yes" in words


def test_redis_asks_for_the_password_that_our_services_have() -> None:
    words = [fill_in(word, GIVEN) for word in SERVICES["redis"]["command"]]
    password = words[words.index("--requirepass") + 1]
    assert urlsplit(read_environment()["REDIS_URL"]).password == password
    # Its own probe is a client, too.
    assert fill_in(SERVICES["redis"]["environment"]["REDISCLI_AUTH"], GIVEN) == password


def test_nothing_but_the_server_is_open_and_that_to_this_machine_alone() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    [port] = SERVICES["web"]["ports"]
    assert fill_in(port, {}) == f"127.0.0.1:8000:{read_instructions('EXPOSE')[0]}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    # What it may write beside its volumes is in memory, and nothing there is run.
    assert service["tmpfs"][0].startswith("/tmp:")
    assert all({"noexec", "nosuid", "nodev"} <= set(place.split(":")[1].split(",")) for place in service["tmpfs"])
    assert service["mem_limit"]
    assert service["pids_limit"] > 0
    # Ours says so in the image.
    assert name in OURS or service["user"] == name


def test_a_web_process_has_room_for_its_threads() -> None:
    workers = int(fill_in(COMPOSE["x-tenfold"]["environment"]["WEB_WORKERS"], {}))
    assert SERVICES["web"]["pids_limit"] > 2 * workers * count_threads(settings.WEB_THREADS)


def test_redis_refuses_what_it_has_no_room_for_before_it_is_killed() -> None:
    words = SERVICES["redis"]["command"]
    most = int(words[words.index("--maxmemory") + 1].removesuffix("mb"))
    assert 2 * most < int(SERVICES["redis"]["mem_limit"].removesuffix("g")) * 1024


def test_the_data_are_on_a_network_of_their_own() -> None:
    assert COMPOSE["networks"]["inner"] == {"internal": True}
    for name, service in SERVICES.items():
        assert service["networks"] == (["inner", "default"] if name in OURS else ["inner"]), name


def test_no_digest_is_named_that_nobody_has_looked_up() -> None:
    """A digest comes from a registry. One in these files must be whole, or there is none."""
    for digest in re.findall(r"@sha256:([^\s\"']*)", (ROOT / "compose.yaml").read_text() + DOCKERFILE):
        assert re.fullmatch(r"[0-9a-f]{64}", digest)


# -- Dockerfile ---------------------------------------------------------------------------------------------------


def read_command() -> list[str]:
    words: list[str] = yaml.safe_load(read_instructions("CMD")[-1])
    return words


def test_the_image_serves_on_the_default_port_for_everybody() -> None:
    assert read_command()[:2] == ["python", "-m"]
    assert importlib.util.find_spec(read_command()[2])
    assert read_instructions("EXPOSE") == ["8000"]
    variables = dict(pair.split("=", 1) for line in read_instructions("ENV") for pair in shlex.split(line))
    assert variables["HOST"] == "0.0.0.0"
    assert {name for name in variables if not name.startswith("PYTHON")} <= set(env.NAMES)


def test_its_python_and_its_packages_are_ours() -> None:
    assert f"python:{(ROOT / '.python-version').read_text().strip()}-" in read_instructions("FROM")[0]
    assert "--require-hashes --requirement requirements.lock" in DOCKERFILE


def test_the_image_holds_the_program_and_nothing_else() -> None:
    copied = {name for line in read_instructions("COPY") for name in line.split()[:-1]}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert copied == {"requirements.lock", "manage.py", "pyproject.toml", *packages}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in == copied


def test_it_runs_as_an_unprivileged_user() -> None:
    # By its number, which Kubernetes can tell from root's; the last word on it, before the command.
    assert read_instructions("USER") == ["999"]
    [made] = [line for line in read_instructions("RUN") if line.startswith("useradd")]
    assert "--uid 999" in made
    assert "--shell /usr/sbin/nologin" in made
    # What it may write is the files of exports and pictures alone.
    assert made.endswith("install -d -o tenfold exports_files media_files")
    assert not [line for line in read_instructions("COPY") if "--chown" in line or "--chmod" in line]


def test_the_image_runs_no_shell() -> None:
    for line in (*read_instructions("CMD"), *read_instructions("HEALTHCHECK")):
        words = yaml.safe_load(line[line.index("[") :])
        assert words[0] == "python"
    assert not read_instructions("ENTRYPOINT") + read_instructions("SHELL") + read_instructions("ADD")


def test_its_probe_asks_an_address_that_answers() -> None:
    [probe] = [line for line in read_instructions("HEALTHCHECK") if "urlopen" in line]
    found = re.search(r"urlopen\('([^']+)'", probe)
    assert found
    address = urlsplit(found[1])
    assert (address.hostname, address.port) == ("127.0.0.1", 8000)
    assert resolve(address.path)
    assert "127.0.0.1" in read_environment()["ALLOWED_HOSTS"].split(",")
