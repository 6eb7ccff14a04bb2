"""Generators make clients of the document; these compile without a patch, and do a shop's work on a live server."""

import json
import shutil
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.real_clients.conftest import HERE, NODE, PYTHON, Live

# What each program does: reads all pages, changes a product by its ETag (the second time too late), writes in bulk,
# orders twice by one Idempotency-Key, and compares an export with its manifest.
DONE = {"patched": [200, 412], "bulk": ["updated", "created"], "orders": 1, "whole": True}


def generate(live: Live, document: Path, kind: str, folder: Path) -> None:
    if not shutil.which("java"):
        pytest.skip("no Java on this machine, which openapi-generator needs (Debian: default-jre-headless)")
    live.run("openapi-generator-cli", "generate", "-i", document, "-g", kind, "-o", folder, folder=document.parent)


def count_products(live: Live) -> int:
    address = f"{live.url}/api/v1/products/?page=1&page_size=1&count=exact&fields=id"
    with urlopen(Request(address, headers={"Authorization": f"Bearer {live.token}"})) as answer:
        return int(json.load(answer)["count"])


def test_linters_find_nothing(live: Live, document: Path) -> None:
    redocly = live.run(NODE / ".bin/redocly", "lint", document, "--config", HERE / "redocly.yaml", folder=HERE)
    assert "warning" not in redocly
    spectral = (
        NODE / ".bin/spectral",
        "lint",
        document,
        "--ruleset",
        HERE / "spectral.yaml",
        "--fail-severity",
        "hint",
    )
    assert "No results" in live.run(*spectral, folder=HERE)


def test_openapi_python_client(live: Live, document: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    live.run("openapi-python-client", "generate", "--path", document, "--output-path", made, folder=tmp_path)
    rows = count_products(live)
    program = (PYTHON / "python", HERE / "by_openapi_python_client.py")
    assert live.read(*program, folder=made, PYTHONPATH=str(made), SKU="OPC") == DONE | {"rows": rows}


def test_openapi_generator_for_python(live: Live, document: Path, tmp_path: Path) -> None:
    generate(live, document, "python", tmp_path)
    rows = count_products(live)
    program = (PYTHON / "python", HERE / "by_openapi_generator.py")
    assert live.read(*program, folder=tmp_path, PYTHONPATH=str(tmp_path), SKU="OG") == DONE | {"rows": rows}


def test_openapi_fetch(live: Live, document: Path, tmp_path: Path) -> None:
    live.run(NODE / ".bin/openapi-typescript", document, "-o", tmp_path / "api.d.ts", folder=tmp_path)
    run_program(live, "by_openapi_fetch", "OF", tmp_path)


def test_openapi_generator_for_typescript(live: Live, document: Path, tmp_path: Path) -> None:
    generate(live, document, "typescript-fetch", tmp_path / "generated")
    run_program(live, "by_typescript_fetch", "TF", tmp_path)


def run_program(live: Live, name: str, sku: str, folder: Path) -> None:
    rows = count_products(live)
    output = live.run_script(name, (HERE / f"{name}.ts").read_text(), folder, SKU=sku)
    assert json.loads(output.splitlines()[-1]) == DONE | {"rows": rows}


def test_openapi_generator_for_go(live: Live, document: Path, tmp_path: Path) -> None:
    if not shutil.which("go"):
        pytest.skip("no Go on this machine (Debian: golang-go)")
    generate(live, document, "go", tmp_path)
    module = tmp_path / "go.mod"
    # The generator asks for the newest Go; an older one builds it as well.
    module.write_text(module.read_text().replace("go 1.23", "go 1.18"))
    stub_validator(tmp_path)
    live.run("go", "build", "./...", folder=tmp_path)


def stub_validator(folder: Path) -> None:
    """The one package that the client imports comes from a proxy of Go's, which not every machine reaches."""
    stub = folder / "validator"
    stub.mkdir()
    (stub / "go.mod").write_text("module gopkg.in/validator.v2\n\ngo 1.18\n")
    (stub / "validator.go").write_text("package validator\n\nfunc Validate(any) error { return nil }\n")
    with (folder / "go.mod").open("a") as module:
        module.write("\nreplace gopkg.in/validator.v2 => ./validator\n")
