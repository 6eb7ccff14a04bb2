"""What the fault tests measured, in one file: `tests/faults.json`, an entry a fault."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "faults.json"


def note_figures(fault: str, **values: Any) -> None:
    figures = json.loads(FILE.read_text()) if FILE.exists() else {}
    figures[fault] = values
    FILE.write_text(json.dumps(dict(sorted(figures.items())), indent=4) + "\n")
