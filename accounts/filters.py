"""The filters of users."""

from typing import Any

from django.db.models import QuerySet
from django_filters import CharFilter

from accounts.models import User
from config.api.reads.filtering import SparseFilterSet


class UserFilters(SparseFilterSet):
    """Only the whole e-mail address: a search for a part of it would read every user."""

    email = CharFilter(method="keep_email", label="The whole e-mail address, in any case")

    class Meta:
        model = User
        fields = ()

    def keep_email(self, rows: QuerySet[User], name: str, address: str) -> QuerySet[Any]:
        return rows.filter(email__lower=address.lower())
