"""A live shop, its document, and the tools of `make test-clients`."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.launching import ROOT, launch_server
from tests.shop import Shop

HERE = Path(__file__).parent
# What `make test-clients` installs.
PYTHON = ROOT / ".venv-clients" / "bin"
NODE = HERE / "node_modules"
PRODUCTS = 250
COMPILED = (
    "--strict", "--target", "es2022", "--lib", "es2022,dom", "--module", "commonjs", "--moduleResolution", "node10",
    "--skipLibCheck", "--types", "node",
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.clients)


@dataclass
class Live:
    """A running shop: its address, a token that may do everything, and the SKU of a variant with much stock."""

    url: str
    token: str
    stocked: str

    def run(self, *command: str | Path, folder: Path, **variables: str) -> str:
        """The output of a program that asks the shop. It fails if the program does."""
        given = {"TENFOLD": self.url, "TOKEN": self.token, "STOCKED": self.stocked, **variables}
        environment = {**os.environ, "PATH": f"{PYTHON}:{os.environ['PATH']}", **given}
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def read(self, *command: str | Path, folder: Path, **variables: str) -> Any:
        """The JSON in the last line of the output."""
        return json.loads(self.run(*command, folder=folder, **variables).splitlines()[-1])

    def run_script(self, name: str, source: str, folder: Path, **variables: str) -> str:
        """Run TypeScript: compile it, under `strict`, beside whatever is in the folder."""
        if not (folder / "node_modules").exists():
            (folder / "node_modules").symlink_to(NODE)
        (folder / f"{name}.ts").write_text(source)
        compiler = (NODE / ".bin" / "tsc", *COMPILED, f"{name}.ts", "--outDir", "out")
        self.run(*compiler, folder=folder)
        return self.run("node", f"out/{name}.js", folder=folder, **variables)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    if not PYTHON.exists() or not NODE.exists():
        pytest.skip("`make test-clients` installs the clients")
    folder = tmp_path_factory.mktemp("live")
    shop = Shop(f"sqlite:///{folder}/shop.sqlite3")
    shop.open(PRODUCTS)
    variables = shop.environment | {"EXPORT_STORAGE_URL": f"file://{folder}/files", "RATE_LIMIT_TOKEN": "20/second"}
    with launch_server("--with-worker", **variables) as (url, _):
        yield Live(url, shop.token, shop.skus[0])


@pytest.fixture(scope="session")
def document(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the document, as a user of a generator gets it."""
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    with urlopen(f"{live.url}/api/v1/schema/") as answer:
        file.write_bytes(answer.read())
    return file
