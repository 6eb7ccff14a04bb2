"""The browsable pages of accounts: each opens for who may see it, with a form for what they may send."""

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from accounts.orders import place_order
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


def open_page(caller: APIClient, path: str) -> tuple[int, bool]:
    """The status, and whether there is a form for a body."""
    answer = caller.get(f"/api/v1/{path}", HTTP_ACCEPT=HTML)
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    return answer.status_code, b"<textarea" in answer.content


def sign_in(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


@pytest.mark.once  # its form; bodies are taken on both
@pytest.mark.parametrize(
    ("path", "mine", "support", "root"),
    [
        ("auth/tokens/", (200, True), (200, True), (200, True)),
        ("orders/", (200, True), (200, True), (200, True)),
        ("orders/{number}/", (200, True), (200, False), (200, True)),
        ("me/", (200, True), (200, True), (200, True)),
        ("me/addresses/", (200, True), (200, True), (200, True)),
        ("me/orders/", (200, False), (200, False), (200, False)),
        ("users/", (403, False), (200, False), (200, False)),
        ("users/{user}/", (403, False), (200, False), (200, False)),
        ("users/{user}/orders/", (403, False), (200, False), (200, False)),
    ],
)
def test_each_page_opens_with_the_forms_of_its_caller(
    path: str, mine: tuple[int, bool], support: tuple[int, bool], root: tuple[int, bool]
) -> None:
    make_product(sku="TEA")
    user = make_user()
    path = path.format(number=place_order(user, [{"sku": "TEA", "quantity": 1}]).number, user=user.pk)
    callers = (user, make_user("Support"), User.objects.create_superuser("root@example.com", "x"))
    assert [open_page(sign_in(caller), path) for caller in callers] == [mine, support, root]
    assert open_page(APIClient(), path) == (401, False)
