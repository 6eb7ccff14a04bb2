"""One life cycle for all jobs: whatever happens in whatever order, for exports, imports and a third kind.

The third kind, errands, is what a new one needs and no more: a model, two serializers with their view, a function
that takes a step, and its registration.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.apps.registry import Apps
from django.contrib.admin import AdminSite
from django.db import DataError, connection, models
from django.db.models.functions import Now
from django.urls import include, path
from django.utils import timezone
from django.utils.module_loading import import_string
from hypothesis import HealthCheck, example, given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from rest_framework.serializers import IntegerField, ModelSerializer
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import ImportJob
from config import urls
from config.api.database.leases import STOP, LeaseLost
from config.api.jobs import running
from config.api.jobs.admin import JobAdmin
from config.api.jobs.chores import CHORES
from config.api.jobs.files import write_file
from config.api.jobs.models import PROGRESS, SOURCES, Job, JobFailure, Status
from config.api.jobs.running import advance, push_job, register_job, submit_job, sweep
from config.api.jobs.views import JobViewSet, route_jobs
from config.api.problems.errors import MissingExtra
from config.api.writes.bodies import StrictSerializer
from exports.models import ExportJob
from tests.factories import make_caller, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("errands", "one_step_a_task")]

# -- a third kind ---------------------------------------------------------------------------------------------------

# Of its own, so that nobody looks for the table in other tests.
REGISTRY = Apps()
REGISTRY.register_model("accounts", User)


class Errand(Job):
    """Some stops, one after the other."""

    kind = "errand"
    right = "catalog.import_product"
    kept = timedelta(days=1)

    stops = models.IntegerField(default=2)

    class Meta:
        apps = REGISTRY
        app_label = "errands"


class ErrandRead(ModelSerializer[Errand]):
    class Meta:
        model = Errand
        fields = ("id", "status", "stops", *PROGRESS)


class ErrandWrite(StrictSerializer[Errand]):
    stops = IntegerField(min_value=1)

    def create(self, validated_data: dict[str, Any]) -> Errand:
        return submit_job(Errand(owner=self.context["request"].user, **validated_data))


class ErrandViewSet(JobViewSet):
    queryset = Errand.objects.all()
    read_serializer = ErrandRead
    write_serializer = ErrandWrite


@register_job(Errand)
def run_errand(errand: Errand) -> None:
    """A stop is a step."""
    errand.begin(rows_total=errand.stops)
    if errand.rows_done == errand.stops:
        errand.finish()
    else:
        done = errand.rows_done + 1
        errand.write(rows_done=done, **errand.measure_progress(done / errand.stops))


# Back where it belongs for the tests below alone: in others there is no such table.
CHORE, TASK = CHORES.pop("sweep errands"), running.TASKS.pop(Errand)
urlpatterns = [path("api/v1/", include(route_jobs("errands/", ErrandViewSet))), *urls.urlpatterns]


@pytest.fixture(scope="module")
def table(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.create_model(Errand)
    yield
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.delete_model(Errand)


@pytest.fixture
def errands(table: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Their task."""
    monkeypatch.setitem(CHORES, CHORE.name, CHORE)
    monkeypatch.setitem(running.TASKS, Errand, TASK)
    return TASK


@pytest.fixture
def caller(settings: Any) -> APIClient:
    settings.ROOT_URLCONF = __name__
    return make_caller("Catalogue editor")


def test_a_third_kind_is_asked_for_watched_and_done(caller: APIClient, errands: Any) -> None:
    answer = caller.post("/api/v1/errands/", {"stops": 2})
    assert answer.status_code == 201, answer.content
    address = answer["Location"]
    seen = []
    for _ in range(4):
        seen.append(caller.get(address).json())
        errands.call(seen[0]["id"])
    told = [(row["status"], row["rows_done"], row["rows_total"], row["percent"]) for row in seen]
    assert told == [("queued", 0, None, 0), ("running", 1, 2, 50), ("running", 2, 2, 99), ("ready", 2, 2, 100)]
    assert set(seen[0]) == {"id", "status", "stops", *PROGRESS}
    assert [row["id"] for row in caller.get("/api/v1/errands/").json()["results"]] == [seen[0]["id"]]


def test_a_third_kind_is_canceled_deleted_and_repeated_as_the_others(caller: APIClient, errands: Any) -> None:
    first, second = (caller.post("/api/v1/errands/", {"stops": 1}, HTTP_IDEMPOTENCY_KEY="once") for _ in range(2))
    assert first.content == second.content
    address = first["Location"]
    assert caller.delete(address).status_code == 204
    errands.call(first.json()["id"])
    assert caller.get(address).json()["status"] == "canceled"
    assert caller.delete(address).status_code == 204
    assert caller.get(address).status_code == 404
    stranger = APIClient()
    assert stranger.post("/api/v1/errands/", {"stops": 1}).status_code == 401
    stranger.force_authenticate(make_user("Export partner"))
    assert stranger.post("/api/v1/errands/", {"stops": 1}).status_code == 403
    assert caller.post("/api/v1/errands/", {"stop": 1}).status_code == 400


def test_workers_look_after_a_third_kind(errands: Any) -> None:
    job = submit_job(Errand(owner=make_user("Catalogue editor")))
    Errand.objects.update(pushed_at=timezone.now() - timedelta(hours=1))
    before = len(errands.get_backend().results)
    CHORES["sweep errands"].run_if_due()
    assert [result.args for result in errands.get_backend().results[before:]] == [[job.pk]]


def test_staff_see_a_third_kind_as_the_others(errands: Any) -> None:
    page = JobAdmin(Errand, AdminSite())
    job = Errand(pk=7, status=Status.RUNNING, percent=40, seconds_left=12, rows_done=4000, rows_total=10_000)
    assert (page.number(job), "4,000 of 10,000" in page.rows(job)) == ("#7", True)
    assert "40 %, 12 s left" in page.progress(job)


# -- each kind ------------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """How to make a job of it; `asked` is what it was asked for."""

    model: Any
    group: str
    asked: dict[str, Any]

    def make(self, **values: Any) -> Any:
        return self.model.objects.create(owner=make_user(self.group), **self.asked | values)


KINDS = {
    "export": Kind(ExportJob, "Export partner", {"resource": "products", "format": "csv"}),
    "import": Kind(ImportJob, "Catalogue editor", {"name": "file.csv", "size": 100}),
    "errand": Kind(Errand, "Catalogue editor", {}),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def count_tasks() -> int:
    return len(running.TASKS[ExportJob].get_backend().results)


def read(job: Any) -> Any:
    return type(job).objects.get(pk=job.pk)


def lapse(job: Any) -> None:
    """As a lease that nobody renewed."""
    rows = type(job).objects.filter(pk=job.pk, leased_until__isnull=False)
    rows.update(leased_until=Now() - timedelta(seconds=1))


# -- whatever happens -----------------------------------------------------------------------------------------------

# Holders are told apart by who came first; the others act on the job as a whole.
BY_HOLDER = ("write", "begin", "finish", "give_back")
BY_OTHERS = ("claim", "lapse", "cancel", "fail", "expire", "sweep")
# Holders come and go more often than a job ends.
WEIGHED = ("claim", "lapse") * 4 + BY_HOLDER * 2 + BY_OTHERS
EVENTS = st.lists(st.tuples(st.sampled_from(WEIGHED), st.integers(0, 2)), max_size=16)
GIVEN_BACK_TWICE = [("claim", 0), ("give_back", 0), ("give_back", 0)]
TAKEN_OVER = [("claim", 0), ("lapse", 0), ("claim", 0), ("write", 0)]
FINAL = ("failed", "canceled", "expired")


class History:
    """A job beside what must be true of it: its status, who may write to it (its last holder), and what was."""

    def __init__(self, job: Any) -> None:
        self.job, self.holders, self.released = job, list[Any](), set[int]()
        self.status, self.last, self.lease, self.rows = "queued", -1, "none", 0

    @property
    def is_unfinished(self) -> bool:
        return self.status in ("queued", "running")

    def happen(self, event: str, number: int) -> None:
        before = self.status
        if event in BY_OTHERS:
            getattr(self, event)()
        elif self.holders:
            self.act(event, number % len(self.holders))
        row = read(self.job)
        assert (row.status, row.rows_done) == (self.status, self.rows), event
        assert before not in FINAL or self.status == before
        assert before == self.status or before in SOURCES[self.status]

    def act(self, event: str, index: int) -> None:
        if event == "give_back" and index in self.released:
            self.holders[index].give_back()
            return  # it had nothing to give
        may = index == self.last and (self.status == "running" if event == "finish" else self.is_unfinished)
        values = {"rows_done": self.rows + 1} if event != "give_back" else {}
        try:
            getattr(self.holders[index], event)(**values)
        except LeaseLost:
            assert not may, f"{event} by the holder"
            return
        assert may, f"{event} by one who isn't the holder any more"
        self.rows += len(values)
        self.status = {"begin": "running", "finish": "ready"}.get(event, self.status)
        # What was given back isn't taken again by a write.
        is_renewed = event in ("write", "begin") and self.lease != "none"
        self.lease = "held" if is_renewed else "none"
        self.released |= {index} if event in ("finish", "give_back") else set()

    def claim(self) -> None:
        row = self.job.find_row().only_unfinished().claim()
        assert (row is not None) == (self.is_unfinished and self.lease != "held")
        if row is not None:
            self.holders.append(row)
            self.last, self.lease = len(self.holders) - 1, "held"

    def lapse(self) -> None:
        # The holder may write all the same, until another one comes; that renews it.
        lapse(self.job)
        self.lease = "lapsed" if self.lease == "held" else self.lease

    def cancel(self) -> None:
        assert self.job.cancel() == self.is_unfinished
        self.end("canceled")

    def fail(self) -> None:
        assert self.job.fail("It broke.") == self.is_unfinished
        self.end("failed")

    def end(self, status: str) -> None:
        if self.is_unfinished:
            self.status, self.last, self.lease = status, -1, "none"

    def expire(self) -> None:
        self.job.expire()
        self.status = "expired" if self.status == "ready" else self.status

    def sweep(self) -> None:
        sweep(type(self.job))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@given(events=EVENTS)
@example(events=TAKEN_OVER)
@example(events=GIVEN_BACK_TWICE)
# Of each kind of job in each half of the suite.
@tuned(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_order_of_events_leads_out_of_an_end_or_lets_a_late_holder_write(
    name: str, events: list[tuple[str, int]]
) -> None:
    history = History(KINDS[name].make())
    for event in events:
        history.happen(*event)


def test_states_lead_from_one_to_another_and_out_of_no_end() -> None:
    assert set(SOURCES) | {"queued"} == set(Status)
    assert not {status for sources in SOURCES.values() for status in sources} & set(FINAL)


# -- how steps end --------------------------------------------------------------------------------------------------


def begin(job: Any) -> None:
    job.begin()


def begin_and(act: Callable[[Any], object]) -> Callable[[Any], None]:
    def take_step(job: Any) -> None:
        job.begin()
        act(job)

    return take_step


def raise_error(error: BaseException) -> Callable[[Any], None]:
    def take_step(job: Any) -> None:
        raise error

    return take_step


def test_a_job_canceled_while_a_step_runs_stays_canceled(kind: Kind) -> None:
    job = kind.make()

    def cancel_and_finish(held: Any) -> None:
        assert read(held).cancel()
        held.finish(rows_done=7)

    advance(kind.model, begin_and(cancel_and_finish), job.pk)
    row = read(job)
    assert (row.status, row.rows_done, row.error, row.leased_until) == ("canceled", 0, "", None)
    assert row.finished_at is not None


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (JobFailure("Row 7 is too long."), "Row 7 is too long."),
        (MissingExtra("X", "s3", "storages"), "X needs the extra s3"),
        (OSError(28, "No space left on device"), "Its files can't be written or read: No space left on device."),
        (RuntimeError("secret"), "Something failed on our side; the log has it."),
    ],
)
def test_a_step_that_fails_ends_the_job_with_a_sentence(error: Exception, sentence: str, kind: Kind) -> None:
    job = kind.make()
    advance(kind.model, begin_and(raise_error(error)), job.pk)
    row = read(job)
    assert (row.status, row.leased_until) == ("failed", None)
    assert sentence in row.error
    assert "secret" not in row.error


def test_a_database_that_fails_ends_no_job_and_its_lease_is_the_pause(kind: Kind) -> None:
    job = kind.make()
    with pytest.raises(DataError):
        advance(kind.model, raise_error(DataError("away")), job.pk)
    assert read(job).is_unfinished
    advance(kind.model, begin_and(Job.finish), job.pk)
    assert read(job).is_unfinished, "somebody may still be at it"
    lapse(job)
    advance(kind.model, begin_and(Job.finish), job.pk)
    assert read(job).claims == 2


def test_a_step_that_takes_each_worker_with_it_fails_the_job(kind: Kind) -> None:
    job = kind.make()
    for _ in range(running.GREATEST_CLAIMS):
        with pytest.raises(KeyboardInterrupt):
            advance(kind.model, raise_error(KeyboardInterrupt()), job.pk)
        lapse(job)
    advance(kind.model, begin, job.pk)
    assert (read(job).status, read(job).error) == ("failed", f"{job} was begun 20 times and never ended.")


def test_however_many_steps_a_job_takes_no_worker_is_lost_over_it(kind: Kind) -> None:
    # A step that returns without an end has more to do.
    job, steps = kind.make(), running.GREATEST_CLAIMS + 5
    for _ in range(steps):
        held = read(job).find_row().claim()
        with running.keep_lease(held):
            held.begin()
    row = read(job)
    assert (row.status, row.claims, row.fence, row.leased_until) == ("running", 0, steps, None)


def test_a_worker_that_is_to_stop_gives_the_job_back_and_lets_another_go_on(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, before = kind.make(), count_tasks()
    monkeypatch.setattr(STOP, "shared", bytearray(1))

    def stop(held: Any) -> None:
        STOP.begin()
        STOP.check()

    advance(kind.model, begin_and(stop), job.pk)
    row = read(job)
    assert (row.status, row.claims, row.leased_until, count_tasks()) == ("running", 0, None, before + 1)


def test_an_owner_who_lost_the_right_has_nothing_done_any_more(kind: Kind) -> None:
    job = kind.make()
    job.owner.groups.clear()
    advance(kind.model, raise_error(AssertionError("a step")), job.pk)
    assert read(job).error == f"Its owner may not {kind.model.kind} any more."


def test_a_task_that_comes_late_or_twice_does_nothing(kind: Kind) -> None:
    job = kind.make()
    read(job).find_row().claim()
    advance(kind.model, raise_error(AssertionError("held by another")), job.pk)
    job.cancel()
    advance(kind.model, raise_error(AssertionError("over")), job.pk)
    advance(kind.model, raise_error(AssertionError("gone")), job.pk + 1)
    assert read(job).status == "canceled"


def test_tasks_that_wait_in_queues_find_their_functions() -> None:
    # A release that renames one strands what the former one has put there.
    paths = {model.kind: task.module_path for model, task in running.TASKS.items()}
    assert paths["export"] == "exports.tasks.advance_export"
    assert paths["import"] == "catalog.imports.tasks.advance_import"
    assert all(
        import_string(path) is running.TASKS[model] for model, path in zip(running.TASKS, paths.values(), strict=True)
    )


# -- what a beat does -----------------------------------------------------------------------------------------------


def test_a_job_that_nobody_works_on_is_pushed_by_one_sweep(kind: Kind) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    jobs = [kind.make(pushed_at=long_ago) for _ in range(2)]
    jobs[0].find_row().claim()
    kind.make()  # its task is on its way
    kind.make(pushed_at=long_ago, status="canceled")
    before = count_tasks()
    for _ in range(2):
        sweep(kind.model)
    assert [result.args for result in running.TASKS[kind.model].get_backend().results[before:]] == [[jobs[1].pk]]


def test_a_job_is_forgotten_after_a_month_and_with_its_owner(kind: Kind) -> None:
    kept = kind.make(status="failed", finished_at=timezone.now())
    running_one = kind.make(status="running")
    kind.make(status="failed", finished_at=timezone.now() - timedelta(days=31))
    User.objects.filter(pk=kind.make(status="canceled", finished_at=timezone.now()).owner_id).delete()
    sweep(kind.model)
    assert list(kind.model.objects.order_by("pk")) == [kept, running_one]


def test_a_file_whose_time_is_over_goes_and_one_that_is_kept_stays() -> None:
    # Of exports and the third kind; an import keeps none.
    for number, kind in enumerate((KINDS["export"], KINDS["errand"])):
        job = kind.make()
        held = job.find_row().claim()
        held.begin()
        with write_file(name := f"{number}/{job.pk}") as file:
            file.write(b"whole")
        held.finish(file=name)
        assert not kind.model.objects.only_untidy()
        sweep(kind.model)
        assert read(job).file == name
        job.find_row().update(expires_at=timezone.now() - timedelta(seconds=1))
        sweep(kind.model)
        assert (read(job).status, read(job).file) == ("expired", "")


def test_files_of_jobs_that_are_over_go_though_the_storage_was_away(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, files: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job = kind.make()
    job.file = f"{job.pk}/file"
    with write_file(job.file) as file:
        file.write(b"whole")
    if kind.model is ExportJob:
        job.parts.create(number=0, after=0, upto=1, file=job.file)  # only a published file has its name in the job
    else:
        job.find_row().update(file=job.file)

    def fail(*args: Any) -> None:
        raise OSError("away")

    with monkeypatch.context() as away, caplog.at_level(logging.WARNING, "tenfold.jobs"):
        away.setattr("config.api.jobs.files.LocalFolder.delete", fail)
        assert read(job).cancel()
    assert "wait for the next sweep: away" in caplog.text
    assert (read(job).status, (files / job.file).exists()) == ("canceled", True)
    sweep(kind.model)
    assert (read(job).file, (files / job.file).exists()) == ("", False)


def test_a_queue_that_is_away_loses_nothing(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise running.RedisError("gone")

    monkeypatch.setattr("django.tasks.backends.dummy.DummyBackend.enqueue", fail)
    push_job(kind.make())
