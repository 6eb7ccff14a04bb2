"""What every admin shares: a request in, a page out whose cost doesn't grow with the table.

No COUNT runs past 10,000 rows, no select box lists a table, an order is an index's, and a row that others still
name is refused with a sentence before the database would refuse it at COMMIT.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property, reduce, wraps
from operator import or_
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.views.main import ORDER_VAR
from django.contrib.auth import REDIRECT_FIELD_NAME, get_permission_codename
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.db.models import CASCADE, DB_CASCADE, DO_NOTHING, Model, Q, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.csp import CSP
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.views.decorators.csp import csp_override
from unfold.admin import ModelAdmin
from unfold.forms import AuthenticationForm, PaginationInlineFormSet
from unfold.sites import UnfoldAdminSite
from unfold.views import ChangeList as UnfoldChangeList

from config.api.database.authorship import name_actor
from config.api.reads.counting import BOUND, count_at_most

# A confirmation page lists what goes; past this many rows a person reads none of it, and memory holds them all.
DELETE_MOST = 1_000
# For a table whose page names none.
NO_ICON = "table_rows"
# How many names a confirmation page shows.
NAMES_SHOWN = 100

# unfold's Alpine evaluates attributes of the page, which needs both; a nonce would switch 'unsafe-inline' off.
ADMIN_CSP: dict[str, Any] = settings.SECURE_CSP | {"script-src": [CSP.SELF, CSP.UNSAFE_INLINE, CSP.UNSAFE_EVAL]}

type View = Callable[..., Any]


class LoginForm(AuthenticationForm):
    """unfold's, with every refusal below the password; one of no field has a red box of its own beside the form's."""

    def add_error(self, field: str | None, error: Any) -> None:
        super().add_error(field or "password", error)


class Site(UnfoldAdminSite):
    """The admin at `/admin/`, with a content security policy of its own; the strict one holds everywhere else."""

    index_title = "Overview"
    login_form = LoginForm

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return csp_override(ADMIN_CSP)(super().admin_view(sign_view(view), cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Without a `next` Django would go where the browsable API's sign-in goes.
        query = request.GET.copy()
        query.setdefault(REDIRECT_FIELD_NAME, reverse("admin:index"))
        request.GET = query  # type: ignore[assignment]  # the stubs have it immutable, its readers don't mind
        # The one page that isn't wrapped by admin_view.
        response: HttpResponse = csp_override(ADMIN_CSP)(super().login)(request, extra_context)
        return response

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps: list[Any] = super().get_app_list(request, app_label)
        # In the order in which they registered their tables, where Django has that of the alphabet.
        order = list(dict.fromkeys(model._meta.app_label for model in self._registry))
        return sorted(apps, key=lambda app: order.index(app["app_label"]))

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The palette behind Ctrl+K, over the names of the tables.

        unfold keeps its results in the cache as pickles, which our cache refuses: unpickling runs code.
        """
        began = time.perf_counter()
        term = request.GET.get("s", "").strip().lower()
        found = self._search_apps(self.get_app_list(request), term) if term else []
        pages = Paginator(found, 100)
        context = {"results": pages.page(1), "page_obj": pages, "page_counter": 0, "search_term": term}
        context["execution_time"] = time.perf_counter() - began
        template = "unfold/helpers/command_results.html"
        return TemplateResponse(request, template, context, headers={"HX-Trigger": "search"})


def sign_view(view: View) -> View:
    """What the page writes is written by who looks at it, as the change log shows."""

    @wraps(view)
    def signed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name_actor(request.user)
        response: HttpResponse = view(request, *args, **kwargs)
        return response

    return signed


def list_sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """UNFOLD's SIDEBAR: the tables that this person may see, and the ways out."""
    ways = (("Start page", "/", "home"), ("API", "/api/v1/", "api"), ("API documents", "/api/v1/docs/", "menu_book"))
    apps = [
        {"title": app["name"], "separator": True, "items": [link_table(table) for table in app["models"]]}
        for app in admin.site.get_app_list(request)
    ]
    # unfold marks a link as active where it is part of the path, as "/" always is.
    elsewhere = [{"title": title, "link": link, "icon": icon, "active": False} for title, link, icon in ways]
    return [*apps, {"title": "Elsewhere", "separator": True, "items": elsewhere}]


def link_table(table: dict[str, Any]) -> dict[str, Any]:
    page = admin.site.get_model_admin(table["model"])
    return {"title": capfirst(table["name"]), "link": table["admin_url"], "icon": getattr(page, "icon", NO_ICON)}


class OrMore(int):
    """10,000 that stands for "or more": it reckons as a number and reads as `10,000+`."""

    def __str__(self) -> str:
        return f"{int(self):,}+"

    def __html__(self) -> str:
        return str(self)


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # takes no brackets at run time
    """Counts no further than BOUND rows, so pages end there too: OFFSET reads what it leaves out."""

    @cached_property
    def count(self) -> int:
        number = count_at_most(self.object_list, BOUND)  # type: ignore[arg-type]  # always a queryset here
        return number if number <= BOUND else OrMore(BOUND)


class ChangeList(UnfoldChangeList):
    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Sequence[Any]:
        """One column and the key behind it, in one direction, as an index has them.

        Django appends the admin's own order and then "-pk": ascending by one and descending by the other, which
        no index serves.
        """
        ordering: Sequence[Any] = super().get_ordering(request, queryset)
        if not self.params.get(ORDER_VAR) or not isinstance(ordering[0], str):
            return ordering
        return (ordering[0], "-pk" if ordering[0].startswith("-") else "pk")


class RemembersShown:
    """A form knows what its page showed, so that a page left open overwrites nobody's later change.

    Django compares what is sent with the row as it is by then, and takes every difference for the person's.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["show_hidden_initial"] = True
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]  # an admin's


class ChangedFormSet(PaginationInlineFormSet):
    """Rows below a row, of which only the changed columns are written."""

    def save_existing(self, form: ModelForm[Any], obj: Model, commit: bool = True) -> Model:
        if commit:
            save_changed(obj, form)
        return obj


def save_changed(row: Model, form: ModelForm[Any]) -> None:
    """Only what the person changed: a whole row would put back what a sale or a trigger wrote meanwhile."""
    columns = {field.name for field in row._meta.concrete_fields}
    row.save(update_fields=columns.intersection(form.changed_data))


class BoundedAdmin(RemembersShown, ModelAdmin):
    """The base of every admin here: opens in the same time at a thousand and at ten million rows.

    `search_fields` name their look-up, and each is compared with the whole input.
    """

    # The table's, in the sidebar; a name of Material Symbols.
    icon = NO_ICON
    paginator = BoundedPaginator
    show_full_result_count = False  # not enough alone: the paginator counts too
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter
    list_per_page = 50
    list_filter_submit = True
    ordering: ClassVar[Sequence[str]] = ("-pk",)
    sortable_by: ClassVar[Sequence[str]] = ()
    search_fields: ClassVar[Sequence[str]] = ()
    list_display: ClassVar[Sequence[str]] = ("__str__",)
    list_select_related: ClassVar[Sequence[str]] = ()
    readonly_fields: ClassVar[Sequence[str]] = ()
    actions: ClassVar[Sequence[str]] = ("delete_selected",)
    delete_confirmation_template = "admin/delete_or_refuse.html"
    delete_selected_confirmation_template = "admin/delete_selected_or_refuse.html"
    warn_unsaved_form = True
    compressed_fields = True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows whose search fields have the term; Django would look for each word by itself."""
        term = search_term.strip()
        if not term:
            return queryset, False
        conditions = [Q((field, term)) for field in self.get_search_fields(request)]
        return queryset.filter(reduce(or_, conditions)), False

    # -- writes

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm[Any], change: bool) -> None:
        if change:
            save_changed(obj, form)
        else:
            obj.save()

    # -- deletion

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What a confirmation page says, by counts; Django's own reads every row that goes with these."""
        rows = list(objs[:DELETE_MOST])
        related = list(count_related(rows, (CASCADE, DB_CASCADE)))
        counts = {str(self.opts.verbose_name_plural): len(rows)}
        counts |= {str(model._meta.verbose_name_plural): number for model, number in related}
        lacking = {str(model._meta.verbose_name) for model, _ in related if not self.may_delete(request, model)}
        return [str(row) for row in rows[:NAMES_SHOWN]], counts, lacking, list(self.find_hindrances(request, rows))

    def may_delete(self, request: HttpRequest, model: type[Model]) -> bool:
        if not self.admin_site.is_registered(model):
            return True
        codename = get_permission_codename("delete", model._meta)
        return bool(request.user.has_perm(f"{model._meta.app_label}.{codename}"))

    def find_hindrances(self, request: HttpRequest, rows: Sequence[Any]) -> Iterator[str]:
        """Sentences that say why `rows` have to stay."""
        for model, number in count_related(rows, (DO_NOTHING,)):
            one, many = model._meta.verbose_name, model._meta.verbose_name_plural
            yield f"1 {one} uses it." if number == 1 else f"{number} {many} use it."

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, object_id, extra_context)
        except IntegrityError:
            # Somebody began to use the row after we had looked; the page itself then says who.
            self.refuse_used(request)
            return HttpResponseRedirect(request.get_full_path())
        return response

    @admin.action(permissions=("delete",), description="Delete the selected rows")
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        keys = list(queryset.values_list("pk", flat=True)[: DELETE_MOST + 1])
        if len(keys) > DELETE_MOST:
            sentence = f"At most {DELETE_MOST:,} rows are deleted at a time; more of them by the API's bulk requests."
            self.message_user(request, sentence, messages.ERROR)
            return None
        try:
            return delete_selected(self, request, queryset.model._base_manager.filter(pk__in=keys))
        except IntegrityError:
            self.refuse_used(request)
            return None

    def refuse_used(self, request: HttpRequest) -> None:
        sentence = "Nothing was deleted: another row began to use one of these in the meantime."
        self.message_user(request, sentence, messages.ERROR)


class ReadOnlyAdmin(BoundedAdmin):
    """Rows to look at, written by the server alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def count_related(rows: Sequence[Model], ways: Sequence[Any]) -> Iterator[tuple[type[Model], int]]:
    """The tables with rows that point at `rows` in one of `ways` (CASCADE, DO_NOTHING …), and how many, to BOUND."""
    relations: Iterable[Any] = get_candidate_relations_to_delete(rows[0]._meta) if rows else ()
    for relation in relations:
        model: type[Model] = relation.related_model
        if relation.on_delete not in ways or model._meta.auto_created:
            continue
        found = model._base_manager.filter(**{f"{relation.field.name}__in": rows})
        number = count_at_most(found, BOUND)
        if number:
            yield model, number if number <= BOUND else OrMore(BOUND)


def show_unbroken(text: str) -> SafeString:
    """A value that reads badly on two lines: a SKU, a price, a time."""
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def show_moment(moment: datetime) -> SafeString:
    return show_unbroken(date_format(moment, "DATETIME_FORMAT"))


def show_picture(url: str, alt: str, size: int = 40) -> SafeString | str:
    """An image that the browser loads only when it comes into view."""
    if not url:
        return "-"
    picture = (
        '<img src="{}" alt="{}" height="{}" width="{}" loading="lazy" class="rounded-default object-cover"'
        ' style="width:{}px;height:{}px">'
    )
    return format_html(picture, url, alt, size, size, size, size)
