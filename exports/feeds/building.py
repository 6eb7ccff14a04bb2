"""Makes the files of feeds: at each heartbeat a worker takes over finished ones, and begins those that are due.

A feed's file is an export job's, so it is made in parts, by any worker, and appears whole or not at all. The former
file stays for ten minutes, for those who are fetching it.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from catalog.changes.feed import read_cursor
from config.api.jobs.running import push_job
from config.api.problems.errors import ApiError
from config.api.reads.resources import RESOURCES
from exports.feeds.following import select_changes
from exports.jobs.submitting import REQUEST, check_request
from exports.models import ExportJob, Feed

# How long a file that was replaced can still be fetched to its end.
REPLACED_KEPT = timedelta(minutes=10)
BEGUN_AT_ONCE = 20


def make_feeds() -> None:
    for feed in Feed.objects.exclude(next_job=None).select_related("next_job", "job"):
        take_over(feed)
    due = Feed.objects.filter(next_job=None, due_at__lte=timezone.now()).select_related("owner", "job")
    for feed in due.order_by("due_at")[:BEGUN_AT_ONCE]:
        if has_changed(feed):
            begin(feed)


def take_over(feed: Feed) -> None:
    """Serve the new file, if it is ready; note why not, if it never will be."""
    job: Any = feed.next_job
    if job.is_unfinished:
        return
    rows = Feed.objects.filter(pk=feed.pk, next_job=job)
    if job.status != ExportJob.Status.READY:
        rows.update(next_job=None, error=job.error or f"The export was {job.status}.")
    elif rows.update(next_job=None, job=job, error="") and feed.job is not None:
        feed.job.find_row().update(expires_at=timezone.now() + REPLACED_KEPT)


def has_changed(feed: Feed) -> bool:
    """Whether a new file may differ from the present one; true if the feed is made without looking."""
    if not feed.on_change or feed.job is None or feed.job.changes_cursor is None:
        return True
    read_cursor()  # numbers the changes until now
    return bool(select_changes(feed.resource, feed.job.changes_cursor).exists())


def begin(feed: Feed) -> None:
    """Submit a job for the next file. Of many workers only one does."""
    later = timezone.now() + timedelta(minutes=feed.every)
    rows = Feed.objects.filter(pk=feed.pk, next_job=None)
    with transaction.atomic():
        if not rows.filter(due_at=feed.due_at).update(due_at=later):
            return
        try:
            job = build_job(feed)
        except (ApiError, PermissionDenied) as error:
            rows.update(error=describe(error))
            return
        job.save()
        rows.update(next_job=job)
        transaction.on_commit(partial(push_job, job))


def describe(error: ApiError | PermissionDenied) -> str:
    return f"{error.detail} {error.hint}".strip() if isinstance(error, ApiError) else str(error)


def build_job(feed: Feed) -> ExportJob:
    """Raises an ApiError or PermissionDenied for a job that can only fail."""
    job = ExportJob(owner=feed.owner, **{name: getattr(feed, name) for name in REQUEST})
    check_request(job)
    job.rights = find_rights(feed)
    return job


def find_rights(feed: Feed) -> list[str] | None:
    """The permissions by which the file may show more than everybody sees: none, unless a status is named.

    None means all of its owner's. Others fetch the file, whoever made the feed.
    """
    names_status = any(name.partition(".")[0] == "status" for name in feed.filters)
    is_public = RESOURCES[feed.resource].right.startswith("catalog.")
    return [] if is_public and not names_status else None
