"""A piece of work has one holder at a time, by the database's clock; whoever lost it writes nothing more."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import User
from config.api.database import leases
from config.api.database.leases import LeaseLost, LeaseReturned, keep_lease
from exports.models import ExportJob, ExportPart
from tests.factories import make_user
from tests.together import run_together

pytestmark = pytest.mark.django_db


def make_parts(number: int) -> Any:
    job = ExportJob.objects.create(owner=make_user(), resource="products", format="csv")
    ExportPart.objects.bulk_create(
        ExportPart(job=job, number=index, after=index, upto=index + 1) for index in range(number)
    )
    return job.parts.all()


def end_lease(part: ExportPart) -> None:
    ExportPart.objects.filter(pk=part.pk).update(leased_until=Now() - timedelta(seconds=1))


def test_each_claim_gets_another_row_and_then_none() -> None:
    parts = make_parts(2)
    assert [part and part.number for part in (parts.claim(), parts.claim(), parts.claim())] == [0, 1, None]


def test_a_lapsed_lease_is_free_and_its_holder_writes_nothing_more() -> None:
    parts = make_parts(1)
    first = parts.claim()
    end_lease(first)
    second = parts.claim()
    assert second.pk == first.pk
    with pytest.raises(LeaseLost):
        first.write(rows_done=7)
    with pytest.raises(LeaseLost):
        first.release(is_done=True)
    second.write(rows_done=3)
    assert parts.get().rows_done == 3


def test_a_write_renews_the_lease_and_a_release_ends_it() -> None:
    parts = make_parts(1)
    part = parts.claim()
    end_lease(part)
    part.write(rows_done=1)
    assert parts.claim() is None
    part.release()
    # What is written afterwards takes nothing back.
    part.write(rows_done=2)
    assert parts.claim().fence == 2


def test_a_lease_goes_by_the_clock_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = make_parts(1)
    parts.claim()
    # A machine whose clock is an hour ahead sees no lease lapsed.
    later = timezone.now() + timedelta(hours=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert parts.claim() is None


def test_a_revoked_row_is_nobodys() -> None:
    parts = make_parts(1)
    part = parts.claim()
    assert parts.revoke() == 1
    with pytest.raises(LeaseLost):
        part.write(rows_done=1)


def test_a_job_outlives_its_owner() -> None:
    make_parts(1)
    User.objects.all().delete()
    assert ExportJob.objects.get().owner is None


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_kept_lease_outlasts_what_its_holder_waits_for(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOB_LEASE_SECONDS = 1
    monkeypatch.setattr(leases, "RENEWALS", 10)
    parts = make_parts(1)
    part = parts.claim()
    with keep_lease(part):
        threading.Event().wait(1.5)
        assert parts.claim() is None
    assert parts.get().fence == 1


def test_what_was_given_back_does_not_count_as_a_claim_and_what_was_lost_does() -> None:
    parts = make_parts(1)
    for _ in range(3):
        with pytest.raises(LeaseReturned), keep_lease(parts.claim()):
            raise LeaseReturned
    end_lease(parts.claim())
    held = parts.claim()
    assert (held.fence, held.claims) == (5, 2)
    assert parts.get().claims == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_at_once_each_row_goes_to_one() -> None:
    parts, found = make_parts(20), []

    def claim_some() -> None:
        while (part := parts.claim()) is not None:
            found.append(part.number)

    run_together([claim_some] * 4)
    assert sorted(found) == list(range(20))
