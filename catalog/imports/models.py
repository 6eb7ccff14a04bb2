"""The tables of imports: the jobs, and the errors in their files. Comments name the query that each index serves."""

from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from catalog.changes.logged import Logged
from catalog.errors import ImportsWaiting
from catalog.rights import IMPORT
from config.api.access.permissions import Caller
from config.api.jobs.models import Job, JobQuerySet

# The database's own defaults, with which processes of the former release write rows.
NO_OPTIONS, NOTHING = models.Value({}, models.JSONField()), models.Value([], models.JSONField())


class ImportJob(Job):
    """A job that reads a file of products into the catalogue. The file is deleted when the job ends."""

    kind = "import"
    right = IMPORT

    name = models.CharField("file", max_length=255, help_text="As its sender called it.")
    # The names of formats are in imports/formats/all.py, which needs the models.
    format = models.CharField(max_length=20, default="", blank=True)
    map = models.TextField(
        default="", blank=True, help_text="field=column,… for each column that has another name than our field."
    )
    options = models.JSONField(
        default=dict, db_default=NO_OPTIONS, blank=True, help_text="The other options, if they aren't the defaults."
    )
    dry_run = models.BooleanField(default=False, help_text="Report what an import would do, and write nothing.")
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of the file, packed as it came.")
    # The checkpoint: the line of the last row done, and the counts. Each batch writes it in its own transaction.
    line = models.PositiveBigIntegerField(default=0, editable=False)
    report = models.JSONField(default=dict, blank=True, help_text="What was created, updated, unchanged and refused.")
    errors_total = models.PositiveBigIntegerField(default=0)
    unread_columns = models.JSONField(
        default=list,
        db_default=NOTHING,
        blank=True,
        help_text="Columns that weren't read, each with the field that it may mean.",
    )
    # Of a table; a file that has none is mended as NDJSON (mending.py).
    columns = models.JSONField(default=list, db_default=NOTHING, blank=True, editable=False)
    refused_rows = models.PositiveBigIntegerField(
        default=0, db_default=0, editable=False, help_text="Rows of products that were refused."
    )
    refused_rows_kept = models.PositiveBigIntegerField(
        default=0, db_default=0, editable=False, help_text="So many of them are in the file to mend."
    )
    guessed = models.JSONField(
        default=list, db_default=NOTHING, blank=True, help_text="Options that nobody gave, and what was used."
    )

    class Meta:
        logged = Logged("import", only=("finished_at",))
        indexes = (
            # imports/, the newest first, and the foreign key.
            models.Index(fields=("owner", "-id"), name="import_job_by_owner"),
            # The sweep: unfinished jobs, and jobs that are to be deleted.
            models.Index(fields=("status", "finished_at"), name="import_job_by_status"),
        )

    def check_quota(self, held: JobQuerySet) -> None:
        if held.only_unfinished().count() >= (most := settings.IMPORT_QUOTA_JOBS):
            raise ImportsWaiting(most)


class ImportRefusal(models.Model):
    """An error in a row of a file: the line where the row begins, its SKU or handle, and the reason.

    `reason` says in one sentence what column, value, rule and remedy say apart.
    """

    job = models.ForeignKey(ImportJob, models.DB_CASCADE, related_name="errors", db_index=False)
    line = models.PositiveBigIntegerField()
    key = models.TextField("SKU or handle", blank=True)
    reason = models.TextField()
    column = models.TextField(blank=True, default="", db_default="")
    value = models.TextField(blank=True, default="", db_default="")
    rule = models.TextField(blank=True, default="", db_default="")
    remedy = models.TextField(blank=True, default="", db_default="")

    class Meta:
        ordering = ("id",)
        # The model was called ImportError before. Processes of the former release still use this table.
        db_table = "catalog_importerror"
        # imports/{id}/errors/, in the order of the file, and the foreign key.
        indexes = (models.Index(fields=("job", "id"), name="import_error_by_job"),)

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class RefusedRow(models.Model):
    """A row of a file that wasn't imported, with what a person needs to mend it."""

    job = models.ForeignKey(ImportJob, models.DB_CASCADE, related_name="refused", db_index=False)
    line = models.PositiveBigIntegerField()
    # A JSON object by column. As text: cells may hold what JSON columns of a database refuse, such as a NUL.
    cells = models.TextField()
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ("id",)
        # imports/{id}/refused/, in the order of the file, and the foreign key.
        indexes = (models.Index(fields=("job", "id"), name="refused_row_by_job"),)

    def __str__(self) -> str:
        return f"line {self.line}"


class RecipeQuerySet(models.QuerySet["ImportRecipe"]):
    def visible_to(self, caller: Caller) -> Self:
        """The caller's own recipes, and those that others share."""
        return self.filter(Q(owner_id=caller.pk) | Q(is_shared=True))


class ImportRecipe(models.Model):
    """How files of one source are read: options of an import under a name, for its owner or for all who import."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=60)
    is_shared = models.BooleanField("shared", default=False, help_text="Everybody who imports may use it.")
    options = models.JSONField(default=dict, help_text="Options of an import by name, and `map`.")

    objects: ClassVar[Any] = RecipeQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        constraints = (
            # The owner's recipes; serves the foreign key too.
            models.UniqueConstraint(fields=("owner", "name"), name="import_recipe_once"),
        )
        indexes = (
            # Those that others share.
            models.Index(fields=("id",), name="import_recipe_shared", condition=Q(is_shared=True)),
        )

    def __str__(self) -> str:
        return self.name
