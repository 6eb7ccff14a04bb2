"""A version on users, addresses and orders, moved by a trigger with each change that anybody sees."""

from typing import Any

from django.db import migrations, models

# What a change is of; when somebody signed in last is none.
COLUMNS = {
    "user": (
        "email",
        "first_name",
        "last_name",
        "password",
        "is_active",
        "is_staff",
        "is_superuser",
        "date_joined",
    ),
    "address": ("user_id", "name", "line1", "line2", "city", "postcode", "country"),
    "order": ("number", "user_id", "status", "currency", "subtotal", "total", "placed_at"),
}

FUNCTION = """
CREATE FUNCTION accounts_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + TG_ARGV[0]::integer;
    RETURN NEW;
END $$
"""

# The two triggers part the updates among them: a real change counts, any other leaves the version as it was.
POSTGRESQL = """
CREATE TRIGGER touch_{name} BEFORE UPDATE ON accounts_{name} FOR EACH ROW
    WHEN (({new}) IS DISTINCT FROM ({old})) EXECUTE FUNCTION accounts_touch(1);
CREATE TRIGGER keep_{name} BEFORE UPDATE ON accounts_{name} FOR EACH ROW
    WHEN (({new}) IS NOT DISTINCT FROM ({old})) EXECUTE FUNCTION accounts_touch(0)
"""

# recursive_triggers is off, SQLite's default: an UPDATE inside a trigger doesn't fire that trigger again.
SQLITE = """
CREATE TRIGGER touch_{name} AFTER UPDATE ON accounts_{name} WHEN ({new}, NEW.version) IS NOT ({old}, OLD.version)
BEGIN
    UPDATE accounts_{name} SET version = OLD.version + (({new}) IS NOT ({old})) WHERE id = NEW.id;
END
"""


def create_triggers(apps: Any, editor: Any) -> None:
    is_sqlite = editor.connection.vendor == "sqlite"
    if not is_sqlite:
        editor.execute(FUNCTION)
    for name, columns in COLUMNS.items():
        new, old = (", ".join(f"{row}.{column}" for column in columns) for row in ("NEW", "OLD"))
        editor.execute((SQLITE if is_sqlite else POSTGRESQL).format(name=name, new=new, old=old))


def add_version(model: str) -> migrations.AddField:
    return migrations.AddField(model, "version", models.PositiveIntegerField(default=1, editable=False))


class Migration(migrations.Migration):
    dependencies = (("accounts", "0002_roles"),)
    operations = (*(add_version(model) for model in COLUMNS), migrations.RunPython(create_triggers))
