"""The guide's examples for programs, as they stand there, against a live server."""

import json
import re
import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from tests.launching import ROOT
from tests.real_clients.conftest import PRODUCTS, PYTHON, Live

GUIDE = (ROOT / "config/api/schema/README.md").read_text()


def read_code(heading: str, language: str) -> str:
    """The blocks of a language below a heading."""
    [section] = GUIDE.split(f"\n{heading}\n")[1:]
    blocks = re.findall(rf"^```{language}\n(.*?)^```", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    assert blocks
    return "\n".join(blocks)


# A file that an earlier try has begun must be gone on with, so the first bytes of one are there already.
WALK_IN_PYTHON = dedent(
    """
    import json
    seen = [product["id"] for product in walk(f"{api}products/?fields=id&page_size=20")]
    begun = pathlib.Path("begun.csv")
    begun.write_bytes(pathlib.Path("products.csv").read_bytes()[:1000])
    download(job, "begun.csv")
    print(json.dumps({"rows": len(set(seen)), "again": call("POST", f"{api}orders/", {"Idempotency-Key": "once"},
        json={"lines": [{"sku": os.environ["STOCKED"], "quantity": 1}]}).headers.get("Idempotency-Replayed")}))
    """
)
WALK_IN_TYPESCRIPT = """
async function main() {
  const ids = new Set<number>();
  for await (const row of walk(`${api}products/?fields=id&page_size=20`)) ids.add(row.id);
  const order = { lines: [{ sku: process.env.STOCKED, quantity: 1 }] };
  const placed: Row = await (await call("POST", `${api}orders/`, order)).json();
  let job: Row = await (await call("POST", `${api}exports/`, { resource: "products", format: "csv" })).json();
  while (job.status === "queued" || job.status === "running") {
    await sleep(0.2);
    job = await (await call("GET", job.url)).json();
  }
  await appendFile("begun.csv", (await (await call("GET", job.file_url)).text()).slice(0, 1000));
  const cursor = await download(job, "begun.csv");
  await call("PATCH", `${api}prices/bulk/`, [{ sku: process.env.STOCKED, price: String(1 + ids.size % 7) + ".50" }]);
  for await (const change of follow(cursor)) {
    if (change.entity === "export") continue; // the job itself has ended after its cursor
    console.log(JSON.stringify({ rows: ids.size, placed: placed.number.length > 0, entity: change.entity }));
    break;
  }
}
void main();
"""


def test_the_python_of_the_guide(live: Live, tmp_path: Path) -> None:
    code = read_code("## In Python", "python").replace("TF-00000002-1", live.stocked)
    (tmp_path / "guide.py").write_text(code + WALK_IN_PYTHON)
    told = live.read(PYTHON / "python", "guide.py", folder=tmp_path)
    assert told["rows"] >= PRODUCTS
    assert (tmp_path / "begun.csv").read_bytes() == (tmp_path / "products.csv").read_bytes()


def test_the_typescript_of_the_guide(live: Live, tmp_path: Path) -> None:
    code = read_code("## In TypeScript", "ts")
    told = json.loads(live.run_script("guide", code + WALK_IN_TYPESCRIPT, tmp_path).splitlines()[-1])
    assert told["rows"] >= PRODUCTS
    assert (told["placed"], told["entity"]) == (True, "variant")


@pytest.mark.parametrize("tool", ["pandas", "polars", "DuckDB", "dlt"])
def test_data_tools_read_lists_and_exports(tool: str, live: Live, tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text(read_code(f"### {tool}", "python"))
    live.run(PYTHON / "python", "tool.py", folder=tmp_path)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl on this machine")
def test_samples_of_reads_run_in_each_language(live: Live, document: Path, tmp_path: Path) -> None:
    """Only of reads that every shop has an answer to: those of the lists."""
    operations = [each for path in json.loads(document.read_text())["paths"].values() for each in path.values()]
    named = {
        each["operationId"]: {sample["label"]: sample["source"] for sample in each["x-codeSamples"]}
        for each in operations
    }
    wanted = ("list_products", "list_orders", "list_exports", "export_stock_csv", "get_me")
    for name in wanted:
        live.run("bash", "-c", f"set -o pipefail; {named[name]['curl']} --fail -sS >/dev/null", folder=tmp_path)
    python = "\n".join(named[name]["Python"] for name in wanted)
    (tmp_path / "samples.py").write_text(python)
    live.run(PYTHON / "python", "samples.py", folder=tmp_path)
    fetches = "\n".join(f"async function f{n}() {{\n{named[name]['fetch']}\n}}" for n, name in enumerate(wanted))
    calls = "; ".join(f"await f{n}()" for n in range(len(wanted)))
    live.run_script("samples", f"{fetches}\nvoid (async () => {{ {calls}; }})();\n", tmp_path)
