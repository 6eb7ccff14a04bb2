"""Checked values in, one brand, category or declared attribute written out: create, change, merge, delete.

All run in the caller's transaction, which holds the lock on the row that `If-Match` was compared with.
"""

from collections.abc import Mapping

from django.db import transaction
from django.db.models import Max, Model
from django.db.models.functions import Length
from django.http import Http404

from catalog.models import Attribute, Brand, Category, Location, Product
from catalog.writes.among import is_among
from catalog.writes.sentences import say_taken, say_unknown
from catalog.writes.slugs import make_slug
from catalog.writes.taxonomy import SLUG_MOST
from config.api.freshness.leases import FRESHNESS
from config.api.problems.errors import Conflict, Fault, InvalidBody
from config.api.writes.bodies import Row, Values, refuse_rows

# Category.path has 200 characters, ten for each level.
DEEPEST = 20
# The products that one merge moves: three seconds of PostgreSQL for a brand, whose name is in their search documents.
MOST_MOVED = 5_000


def create_brand(values: Values) -> Brand:
    return create_row(Brand, {"slug": make_slug(values["name"], SLUG_MOST["brand"])} | values)


def create_category(values: Values) -> Category:
    """Create a category below `parent` (a slug or None). Its slug is made from the parent's slug and its name."""
    links = find_parent(values)
    if parent := links.get("parent"):
        refuse_depth(parent, 1)
    words = f"{parent.slug} {values['name']}" if parent else values["name"]
    return create_row(Category, {"slug": make_slug(words, SLUG_MOST["category"])} | values | links)


def create_attribute(values: Values) -> Attribute:
    return create_row(Attribute, values)


def create_row[Named: Model](model: type[Named], values: Values) -> Named:
    refuse_taken(model, values)
    return model._default_manager.create(**values)


def change_row[Named: Model](row: Named, values: Values) -> Named:
    refuse_taken(type(row), values, row.pk)
    return update_row(row, values)


def update_row[Named: Model](row: Named, values: Values) -> Named:
    # Not save(): a row that was deleted meanwhile is a 404. Writing the same values again raises no version.
    if values and not type(row)._default_manager.filter(pk=row.pk).update(**values):
        raise Http404
    return row


def change_category(category: Category, values: Values) -> Category:
    """Change name, slug and parent. All below it move along; its slug and theirs stay, so links to them still work."""
    links = find_parent(values)
    if parent := links.get("parent"):
        refuse_circle(category, parent)
        refuse_depth(parent, count_levels(category))
    # Its name must be free below the parent that it will have.
    refuse_taken(Category, {"name": category.name, "parent": category.parent} | values | links, category.pk)
    return update_row(category, values | links)


# -- what is refused ----------------------------------------------------------------------------------------------


def refuse_taken(model: type[Model], values: Values, own: int | None = None) -> None:
    """Raise Conflict for a slug, or for a name below the same parent, that another row has. The indexes refuse it too,
    but their errors name no member.
    """
    others, row = model._default_manager.exclude(pk=own), Row("", values)
    noun = str(model._meta.verbose_name)
    for member, within in UNIQUE[model].items():
        columns = {name: values.get(name) for name in (member, *within)}
        if member in values and others.filter(**columns).exists():
            row.refuse(f"/{member}", "taken", say_taken(values[member], noun, member))
    refuse_rows([row])


# The members that name one row only, and the columns within which they do.
UNIQUE: Mapping[type[Model], Mapping[str, tuple[str, ...]]] = {
    Brand: {"slug": ()},
    Category: {"slug": (), "name": ("parent",)},
    Attribute: {"name": ()},
    Location: {"code": ()},
}


def find_parent(values: Values) -> Values:
    """The column `parent` for the slug in the body."""
    if "parent" not in values:
        return {}
    slug = values["parent"]
    return {"parent": None if slug is None else find_row(Category, "parent", slug)}


def find_row[Named: Model](model: type[Named], member: str, slug: str) -> Named:
    if found := model._default_manager.filter(slug=slug).first():
        return found
    noun = str(model._meta.verbose_name)
    raise InvalidBody([Fault(f"/{member}", "does_not_exist", say_unknown(noun, "slug", slug))])


def refuse_circle(category: Category, parent: Category) -> None:
    if parent.path.startswith(category.path):
        raise InvalidBody([Fault("/parent", "invalid", "A category can't be below itself; give one that isn't.")])


def refuse_depth(parent: Category, levels: int) -> None:
    if len(parent.path) // 10 + levels > DEEPEST:
        detail = f"Categories can be nested at most {DEEPEST} levels deep; give a parent higher up."
        raise InvalidBody([Fault("/parent", "max_depth", detail)])


def count_levels(category: Category) -> int:
    """The levels of the category's subtree, 1 without children."""
    below = Category.objects.filter(path__startswith=category.path)
    deepest: int = below.aggregate(deepest=Max(Length("path")))["deepest"]
    return (deepest - len(category.path)) // 10 + 1


def refuse_used(row: Brand | Category) -> None:
    """Raise Conflict if products have the brand or category, or if a category has others below it."""
    noun = str(row._meta.verbose_name)
    if row.products.exists():
        hint = f"Merge it into another {noun} (POST …/{row.slug}/merge/), or give its products another one."
        raise Conflict(f"Products have this {noun}.", hint)
    if isinstance(row, Category) and row.children.exists():
        raise Conflict("Other categories are below this one.", "Move or delete them first.")


# -- merging ------------------------------------------------------------------------------------------------------


def merge_row(row: Brand | Category, slug: str) -> Values:
    """Give the products of `row`, and the categories below it, to the row with the slug; then delete `row`.

    One call moves MOST_MOVED products at most, so that it ends soon at any size. `done` is false if more are left:
    then the row is still there, and the next call goes on.
    """
    with transaction.atomic():
        into = find_row(type(row), "into", slug)
        refuse_merge(row, into)
        moved = move_products(row, into)
        if done := not row.products.exists():
            if isinstance(row, Category):
                row.children.update(parent=into)
            row.delete()
    # Many changes that wait for their position would keep the cache from all other requests.
    transaction.on_commit(FRESHNESS.catch_up, robust=True)
    return {"into": into.slug, "moved": moved, "done": done}


def move_products(row: Brand | Category, into: Brand | Category) -> int:
    """Two statements. The products are locked in the order of their keys, as by every writer of several rows."""
    locked = row.products.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
    keys = list(locked[:MOST_MOVED])
    link = str(row._meta.model_name)
    return Product.objects.filter(is_among("pk", keys)).update(**{link: into})


def refuse_merge(row: Brand | Category, into: Brand | Category) -> None:
    if row == into:
        raise InvalidBody([Fault("/into", "invalid", f"A {row._meta.verbose_name} can't be merged into itself.")])
    if isinstance(row, Category) and isinstance(into, Category):
        if into.path.startswith(row.path):
            raise InvalidBody([Fault("/into", "invalid", "A category can't be merged into one that is below it.")])
        refuse_namesakes(row, into)
        refuse_depth(into, count_levels(row) - 1)


def refuse_namesakes(row: Category, into: Category) -> None:
    """Raise Conflict if both categories have one of the same name below them."""
    names = row.children.values_list("name", flat=True)
    if clash := into.children.filter(name__in=names).order_by("name").first():
        detail = f"Both have a category {clash.name!r} below them."
        raise Conflict(detail, f"First merge that one into {clash.slug}, or give it another name.")
