from django.apps import AppConfig

from config.api.freshness import FRESHNESS

# Who somebody is, and what they may see.
WHO_TABLES = (
    "accounts_user",
    "accounts_user_groups",
    "accounts_user_user_permissions",
    "accounts_authtoken",
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
)


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        FRESHNESS.watch(WHO_TABLES)
