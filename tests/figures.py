"""What the fault tests measured, in one file: `tests/faults.json`, an entry a fault."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "faults.json"


def note_figures(fault: str, **values: Any) -> None:
    """Only for `make test-faults`: a run of the suite leaves no file of the project changed."""
    if os.environ.get("NOTE_FIGURES") != "true":
        return
    with FILE.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two runs side by side note theirs
        figures = json.load(file) | {fault: values}
        file.seek(0)
        file.write(json.dumps(dict(sorted(figures.items())), indent=4) + "\n")
        file.truncate()
