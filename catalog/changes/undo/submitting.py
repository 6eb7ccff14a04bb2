"""A caller's wish in, an undo job out: done already if it is small, else queued."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalog.changes.feed import Bounds
from catalog.changes.undo.chosen import Chosen
from catalog.changes.undo.jobs import run_undo
from catalog.changes.undo.models import UndoJob
from catalog.changes.undo.rows import list_all_columns
from catalog.errors import ChangesGone
from config.api.jobs.running import name_request, submit_job
from config.api.problems.errors import Fault, InvalidBody

# More changes are undone by a worker, not within the request.
MOST_AT_ONCE = 500


@dataclass(frozen=True)
class Asked:
    """What to undo: the changes of a request, of an import, or those of products after a position."""

    request_id: str = ""
    import_id: int | None = None
    position: int | None = None
    products: Sequence[int] = ()
    # Only these columns go back, by their names in the steps: `price`, `brand_id`.
    columns: Sequence[str] = ()
    force: bool = False
    dry_run: bool = False

    @property
    def member(self) -> str:
        if self.position is not None:
            return "position"
        return "import_id" if self.import_id else "request_id"

    def choose(self, until: int) -> Chosen:
        request_id = name_request("import", self.import_id) if self.import_id else self.request_id
        return Chosen(request_id, self.position, tuple(self.products), until)


def submit_undo(owner: Any, asked: Asked) -> UndoJob:
    """The job. Call `number_all` first, outside of a transaction: a change without a position can't be undone.

    InvalidBody if no change is chosen, ChangesGone if the log doesn't have all of them.
    """
    refuse_unknown(asked.columns)
    bounds = Bounds.read()
    chosen = asked.choose(bounds.newest)
    since, number = chosen.measure()
    if since is None:
        detail = "There is no such change, or the log doesn't keep it any more (CHANGE_RETENTION_DAYS)."
        raise InvalidBody([Fault(f"/{asked.member}", "does_not_exist", detail)])
    if bounds.truncated > since:
        raise ChangesGone(asked.member, f"a table was truncated at {bounds.truncated}, and the log can't name its rows")
    job = UndoJob(
        owner=owner, request_id=chosen.request_id, position=asked.position, products=list(asked.products),
        columns=list(asked.columns), force=asked.force, dry_run=asked.dry_run, since=since, until=bounds.newest,
        rows_total=number,
    )  # fmt: skip
    return undo_at_once(job) if number <= MOST_AT_ONCE else submit_job(job)


def refuse_unknown(columns: Sequence[str]) -> None:
    known = list_all_columns()
    detail = f"No table has this column; name some of {', '.join(sorted(known))}."
    unknown = [number for number, name in enumerate(columns) if name not in known]
    if faults := [Fault(f"/columns/{number}", "invalid_choice", detail) for number in unknown]:
        raise InvalidBody(faults)


def undo_at_once(job: UndoJob) -> UndoJob:
    job.save()
    held = job.claim_step()
    assert isinstance(held, UndoJob)  # nobody else has seen it
    run_undo(held, math.inf)
    return held
