"""A text in, the customers of this name or e-mail address out. An index serves each way."""

from typing import Any

from django.db.models import QuerySet, Value
from django.db.models.functions import Lower
from django.db.models.lookups import Exact

from accounts.models import Address, User

# At most so many customers are looked at. A search for "Smith" finds the others with the first name added.
MOST_CUSTOMERS = 200


def find_customers(text: str) -> list[int]:
    """The ids of users: by e-mail address or its beginning, by first name, last name or both, by an address's name."""
    first, _, last = " ".join(text.split()).rpartition(" ")
    users, addresses = User.objects.order_by(), Address.objects.order_by()
    ways: list[QuerySet[Any]] = [
        users.filter(email__lower=text.lower()).values_list("pk"),
        users.filter(email__startswith=text.lower()).values_list("pk"),
        users.filter(is_called("last_name", text)).values_list("pk"),
        users.filter(is_called("first_name", text)).values_list("pk"),
        users.filter(is_called("last_name", last), is_called("first_name", first)).values_list("pk"),
        addresses.filter(is_called("name", text)).values_list("user_id"),
    ]
    return list(dict.fromkeys(key for (key,) in ways[0].union(*ways[1:])[:MOST_CUSTOMERS]))


def is_called(column: str, name: str) -> Any:
    """In any case, as the database's own indexes have it."""
    return Exact(Lower(column), Lower(Value(name)))
