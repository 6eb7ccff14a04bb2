"""`manage.py welcome`: prints addresses, a login, a token and three curl commands that work as pasted.

The demo admin's password and token are stored in `.demo` (mode 600, not in git), so each run prints the same.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone
from django.utils.crypto import get_random_string
from knox.crypto import hash_token

from accounts.models import AuthToken, User
from catalog.models import Product
from config.dotenv import write_private
from config.server import find_address

EMAIL = "admin@example.com"
TOKEN_NAME = "make run"
TOKEN_LIFETIME = timedelta(days=90)


@dataclass(frozen=True)
class Login:
    """The content of `.demo`. The password is "" if a user has changed it."""

    password: str
    token: str


class Command(BaseCommand):
    help = "Print the addresses, an admin login, an API token and three curl commands."

    def handle(self, *args: Any, **options: Any) -> None:
        login = find_login(settings.BASE_DIR / ".demo")
        self.stdout.write("\n".join(write_welcome(find_address(), login)))


def find_login(file: Path) -> Login:
    """The password and token of the last run, or new ones if they are gone or expired."""
    kept = read_login(file)
    user = User.objects.filter(email__lower=EMAIL).first()
    password = kept.password or get_random_string(16)
    if user is None:
        user = User.objects.create_superuser(EMAIL, password)
    elif not user.check_password(password):
        password = ""  # a user has changed it, so it is unknown and must not be reset
    login = Login(password, kept.token if is_valid(kept.token, user) else make_token(user))
    if login != kept:
        write_private(file, f"PASSWORD={login.password}\nTOKEN={login.token}\n")
    return login


def read_login(file: Path) -> Login:
    lines = file.read_text().splitlines() if file.exists() else []
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return Login(values.get("PASSWORD", ""), values.get("TOKEN", ""))


def is_valid(token: str, user: User) -> bool:
    """Whether the token is the user's and valid for at least one more day."""
    tomorrow = timezone.now() + timedelta(days=1)
    return bool(token) and user.auth_token_set.filter(digest=hash_token(token), expiry__gt=tomorrow).exists()


def make_token(user: User) -> str:
    # Knox's manager returns the secret; the row has only the digest.
    _, token = AuthToken.objects.create(user, expiry=TOKEN_LIFETIME, name=TOKEN_NAME)
    return str(token)


def write_welcome(address: str, login: Login) -> list[str]:
    password = login.password or f"(changed; manage.py changepassword {EMAIL} sets another)"
    return [
        "",
        f"  Start page   {address}/",
        f"  API          {address}/api/v1/",
        f"  Documents    {address}/api/v1/docs/",
        f"  Admin        {address}/admin/",
        f"  Login        {EMAIL}  {password}",
        f"  Token        {login.token}",
        "",
        *write_examples(f"{address}/api/v1", login.token),
        "",
    ]


def write_examples(api: str, token: str) -> list[str]:
    """Curl commands: a list, a change and an export."""
    product = Product.objects.only_active().select_related("brand").order_by("pk").first()
    brand = f"brand={product.brand.slug}&" if product and product.brand else ""
    listing = f"curl -s '{api}/products/?{brand}in_stock=true&ordering=price&expand=brand,images&page_size=5'"
    signed = f"-H 'Authorization: Token {token}'"
    change = (
        f"curl -s -X PATCH {signed} -H 'Content-Type: application/json' -d '{{\"rating\": \"4.50\"}}'"
        f" '{api}/products/{product.pk if product else 1}/'"
    )
    return [listing, change, f"curl -s {signed} '{api}/exports/products.csv' -o products.csv"]
