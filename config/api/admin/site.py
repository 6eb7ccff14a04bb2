"""The admin's site and the base classes of its pages, whose cost doesn't grow with the table.

No COUNT counts more than 10,000 rows, no select box lists a table, and an index serves every order. Deleting a row that
other rows refer to is an error with a sentence, before the database would raise one at COMMIT.
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

# The most rows that are deleted at once: memory holds them all, and nobody reads a longer confirmation page.
DELETE_MOST = 1_000
# The icon of a table whose admin class names none.
NO_ICON = "table_rows"
# The most rows that a confirmation page names.
NAMES_SHOWN = 100

# unfold uses Alpine, which evaluates attributes of the page and needs both. A nonce would disable 'unsafe-inline'.
ADMIN_CSP: dict[str, Any] = settings.SECURE_CSP | {"script-src": [CSP.SELF, CSP.UNSAFE_INLINE, CSP.UNSAFE_EVAL]}

type View = Callable[..., Any]


class LoginForm(AuthenticationForm):
    """unfold's form, but errors without a field are shown below the password: unfold would show them twice."""

    def add_error(self, field: str | None, error: Any) -> None:
        super().add_error(field or "password", error)


class Site(UnfoldAdminSite):
    """The admin at `/admin/`. It has its own content security policy; all other pages have the strict one."""

    index_title = "Overview"
    login_form = LoginForm

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return csp_override(ADMIN_CSP)(super().admin_view(sign_view(view), cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Without `next`, Django would redirect to LOGIN_REDIRECT_URL, which is the browsable API.
        query = request.GET.copy()
        query.setdefault(REDIRECT_FIELD_NAME, reverse("admin:index"))
        request.GET = query  # type: ignore[assignment]  # the stubs have it immutable, its readers don't mind
        # This page isn't wrapped by admin_view, so it gets the policy here.
        response: HttpResponse = csp_override(ADMIN_CSP)(super().login)(request, extra_context)
        return response

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps: list[Any] = super().get_app_list(request, app_label)
        # In the order in which the apps registered their tables. Django sorts by name.
        order = list(dict.fromkeys(model._meta.app_label for model in self._registry))
        return sorted(apps, key=lambda app: order.index(app["app_label"]))

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The search palette (Ctrl+K) over the names of the tables.

        unfold's own method caches its results as pickles. Our cache accepts bytes only, since unpickling can run code.
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
    """A view whose writes have the signed-in user as their author in the change log."""

    @wraps(view)
    def signed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name_actor(request.user)
        response: HttpResponse = view(request, *args, **kwargs)
        return response

    return signed


def list_sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar (UNFOLD's SIDEBAR): the tables that the user may see, and links to other pages."""
    ways = (("Start page", "/", "home"), ("API", "/api/v1/", "api"), ("API documents", "/api/v1/docs/", "menu_book"))
    apps = [
        {"title": app["name"], "separator": True, "items": [link_table(table) for table in app["models"]]}
        for app in admin.site.get_app_list(request)
    ]
    # unfold marks a link as active if the path contains it; "/" would always be.
    elsewhere = [{"title": title, "link": link, "icon": icon, "active": False} for title, link, icon in ways]
    return [*apps, {"title": "Elsewhere", "separator": True, "items": elsewhere}]


def link_table(table: dict[str, Any]) -> dict[str, Any]:
    page = admin.site.get_model_admin(table["model"])
    return {"title": capfirst(table["name"]), "link": table["admin_url"], "icon": getattr(page, "icon", NO_ICON)}


class OrMore(int):
    """A number that is shown as `10,000+`: "or more"."""

    def __str__(self) -> str:
        return f"{int(self):,}+"

    def __html__(self) -> str:
        return str(self)


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # takes no brackets at run time
    """Counts at most BOUND rows. Pages end there too, since OFFSET reads all rows that it skips."""

    @cached_property
    def count(self) -> int:
        number = count_at_most(self.object_list, BOUND)  # type: ignore[arg-type]  # always a queryset here
        return number if number <= BOUND else OrMore(BOUND)


class ChangeList(UnfoldChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """A list that leaves nothing out offers no "Show all"."""
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Sequence[Any]:
        """One column, then the primary key, both in the same direction, so that an index serves the order.

        Django would append the admin's own order and "-pk". That can mix directions, which no index serves.
        """
        ordering: Sequence[Any] = super().get_ordering(request, queryset)
        if not self.params.get(ORDER_VAR) or not isinstance(ordering[0], str):
            return ordering
        return (ordering[0], "-pk" if ordering[0].startswith("-") else "pk")


class RemembersShown:
    """Forms that remember the shown values, so that saving an old page doesn't undo other users' later changes.

    Django compares the posted values with the row at that time, and takes every difference as a change of the user.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["show_hidden_initial"] = True
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]  # an admin's


class ChangedFormSet(PaginationInlineFormSet):
    """Inline rows. Only their changed columns are written."""

    def save_existing(self, form: ModelForm[Any], obj: Model, commit: bool = True) -> Model:
        if commit:
            save_changed(obj, form)
        return obj


def save_changed(row: Model, form: ModelForm[Any]) -> None:
    """Write only the changed columns. A whole row would undo what an order or a trigger wrote meanwhile."""
    columns = {field.name for field in row._meta.concrete_fields}
    row.save(update_fields=columns.intersection(form.changed_data))


class BoundedAdmin(RemembersShown, ModelAdmin):
    """The base of all admin classes here. A page opens in the same time at a thousand and at ten million rows.

    `search_fields` have explicit lookups. Each is compared with the whole search text.
    """

    # The table's icon in the sidebar: a name of Material Symbols.
    icon = NO_ICON
    paginator = BoundedPaginator
    show_full_result_count = False  # not enough by itself: the paginator counts too
    show_facets = admin.ShowFacets.NEVER  # facets would count the rows of each choice of each filter
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
        """Rows with the whole term in one of the search fields. Django would search for each word."""
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
        """The content of a confirmation page, by counts. Django's own method reads every row that would be deleted."""
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
        """Sentences that tell why `rows` can't be deleted."""
        for model, number in count_related(rows, (DO_NOTHING,)):
            one, many = model._meta.verbose_name, model._meta.verbose_name_plural
            yield f"1 {one} uses it." if number == 1 else f"{number} {many} use it."

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, object_id, extra_context)
        except IntegrityError:
            # Another row began to refer to it after the check. The page, shown again, says which.
            self.refuse_used(request)
            return HttpResponseRedirect(request.get_full_path())
        return response

    @admin.action(permissions=("delete",), description="Delete the selected rows")
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        keys = list(queryset.values_list("pk", flat=True)[: DELETE_MOST + 1])
        if len(keys) > DELETE_MOST:
            sentence = f"At most {DELETE_MOST:,} rows can be deleted at a time: select fewer rows."
            self.message_user(request, sentence, messages.ERROR)
            return None
        try:
            return delete_selected(self, request, queryset.model._base_manager.filter(pk__in=keys))
        except IntegrityError:
            self.refuse_used(request)
            return None

    def refuse_used(self, request: HttpRequest) -> None:
        sentence = "Nothing was deleted: meanwhile another row uses one of these."
        self.message_user(request, sentence, messages.ERROR)


class ReadOnlyAdmin(BoundedAdmin):
    """Rows that staff can only view."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def count_related(rows: Sequence[Model], ways: Sequence[Any]) -> Iterator[tuple[type[Model], int]]:
    """`(model, number)` of the rows that refer to `rows` with an on_delete in `ways`; counts at most BOUND of each."""
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
    """A value that is never broken into two lines: a SKU, a price, a time."""
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def show_moment(moment: datetime) -> SafeString:
    return show_unbroken(date_format(moment, "DATETIME_FORMAT"))


def show_picture(url: str, alt: str, size: int = 40) -> SafeString | str:
    """An image, which the browser loads only when it becomes visible."""
    if not url:
        return "-"
    picture = (
        '<img src="{}" alt="{}" height="{}" width="{}" loading="lazy" class="rounded-default object-cover"'
        ' style="width:{}px;height:{}px">'
    )
    return format_html(picture, url, alt, size, size, size, size)
