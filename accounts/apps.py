from datetime import timedelta

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in

from config.api.freshness.leases import FRESHNESS

# The tables that tell who a caller is and what the caller may see. The cache watches them.
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
        from accounts.chores import delete_expired_sessions, delete_expired_tokens
        from accounts.serializers import OrderRead
        from accounts.sessions import note_place
        from config.api.access.devices import note_sign_in
        from config.api.jobs.chores import register_chore
        from config.api.reads.resources import Resource, register_resource
        from config.api.reads.root_lists import register_lists

        FRESHNESS.watch(WHO_TABLES)
        user_logged_in.connect(note_sign_in)
        user_logged_in.connect(note_place)
        register_chore("delete expired tokens", delete_expired_tokens, every=timedelta(hours=1))
        register_chore("delete expired sessions", delete_expired_sessions, every=timedelta(hours=1))
        register_lists({"me": "me", "orders": "order-list", "users": "user-list", "login": "auth-login"})
        # An export has all orders, so it needs the permission to view orders. Users read their own ones without it.
        register_resource(Resource("orders", "accounts.view_order", OrderRead))
