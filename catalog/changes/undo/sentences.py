"""Why a row wasn't undone, as a sentence for people, with what to do."""

from catalog.changes.undo.histories import Reason, Step

SENTENCES = {
    Reason.CHANGED: "Somebody changed {columns} since.",
    Reason.DELETED: "Somebody deleted it since.",
    Reason.USED: "Somebody changed what would be deleted with it.",
    Reason.NOT_KEPT: "An import wrote it without keeping what was there (IMPORT_KEEPS_BEFORE).",
    Reason.TAKEN: "Another row has its {columns} now; change that row first.",
    Reason.MISSING: "What it refers to by {columns} is gone; bring that back first.",
    Reason.NEEDED: "Other rows refer to it; change or delete those first.",
}


def explain_step(step: Step) -> str:
    assert step.reason is not None  # only of steps that were refused
    columns = ", ".join(name.removesuffix("_id") for name in step.columns) or "values"
    return SENTENCES[step.reason].format(columns=columns)
