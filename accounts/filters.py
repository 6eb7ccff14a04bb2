"""The filters of users and of the sign-in log."""

from typing import Any

from django.db.models import QuerySet
from django_filters import CharFilter, ChoiceFilter

from accounts.events import Event
from accounts.models import User
from config.api.reads.filtering import MomentFilter, SparseFilterSet, name_choices


class UserFilters(SparseFilterSet):
    """Only the whole e-mail address: a search for a part of it would read every user."""

    email = CharFilter(method="keep_email", label="The whole e-mail address, in any case")

    class Meta:
        model = User
        fields = ()

    def keep_email(self, rows: QuerySet[User], name: str, address: str) -> QuerySet[Any]:
        return rows.filter(email__lower=address.lower())


class EventFilters(SparseFilterSet):
    """A kind of event, and a time: `since` includes its moment, `until` doesn't."""

    kind = ChoiceFilter(choices=Event.Kind.choices, error_messages=name_choices(Event.Kind.choices))
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = Event
        fields = ()
