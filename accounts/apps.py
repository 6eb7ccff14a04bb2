from datetime import timedelta

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import m2m_changed

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
        from accounts.chores import cancel_unpaid, delete_expired_sessions, delete_expired_tokens
        from accounts.models import Order, OrderLine
        from accounts.ordering.filters import OrderFilters
        from accounts.ordering.serializers import OrderRead
        from accounts.registrations import sweep_registrations
        from accounts.sessions import note_place
        from accounts.staff.dashboard import list_items
        from accounts.staff.order_sentences import tell_line, tell_order
        from accounts.tools import TOOLS
        from catalog.changes.sentences import register_teller
        from catalog.changes.subjects import Subject, register_subjects
        from config.api.access.devices import note_sign_in
        from config.api.access.scopes import ORDERS
        from config.api.admin.account_links import register_account_link
        from config.api.admin.dashboard import register_dashboard
        from config.api.jobs.chores import register_chore
        from config.api.reads.resources import Resource, register_resource
        from config.api.reads.root_lists import register_lists
        from config.api.tools.registry import register_tool

        FRESHNESS.watch(WHO_TABLES)
        register_dashboard(list_items)
        register_account_link("Your tokens", "admin:accounts_authtoken_mine")
        user_logged_in.connect(note_sign_in)
        user_logged_in.connect(note_place)
        self.follow_credentials()
        register_chore("delete expired tokens", delete_expired_tokens, every=timedelta(hours=1))
        register_chore("delete old registrations", sweep_registrations, every=timedelta(hours=1))
        register_chore("delete expired sessions", delete_expired_sessions, every=timedelta(hours=1))
        register_chore("cancel unpaid orders", cancel_unpaid)
        register_lists({"me": "me", "orders": "order-list", "users": "user-list", "login": "auth-login"})
        # An export has all orders, so it needs the permission to view orders. Users read their own ones without it.
        register_subjects(
            Subject("order", Order, OrderRead, "number", parts={OrderLine: ("lines", "order")}, scope=ORDERS.read)
        )
        register_teller("order", tell_order)
        register_teller("order_line", tell_line)
        for tool in TOOLS:
            register_tool(tool)
        register_resource(Resource("orders", "accounts.view_order", OrderRead, filters=OrderFilters, is_followed=True))

    def follow_credentials(self) -> None:
        """The sign-in log."""
        from django.contrib.auth.models import Group

        from accounts import events
        from accounts.models import User
        from config.api.jobs.chores import register_chore

        user_logged_in.connect(events.note_sign_in)
        user_logged_out.connect(events.note_sign_out)
        user_login_failed.connect(events.note_failure)
        m2m_changed.connect(events.note_groups, sender=User.groups.through)
        for owner in (User.user_permissions, Group.permissions):
            m2m_changed.connect(events.note_permissions, sender=owner.through)
        register_chore("purge sign-in events", events.Event.objects.purge_some)
