from datetime import timedelta
from functools import partial

from django.apps import AppConfig

from config.api.freshness.leases import FRESHNESS
from config.metrics import Family, register_database_gauges, register_process_gauges


class CatalogConfig(AppConfig):
    name = "catalog"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        from catalog import backup, exporting, models
        from catalog.changes import checks  # noqa: F401 (registers them)
        from catalog.changes.entities import list_covered
        from catalog.changes.events import LOG
        from catalog.changes.log import COUNTED_TABLE, find_backlog, follow_changes, number_batch
        from catalog.changes.subjects import Subject, find_any_write, find_end, find_new_price, register_subjects
        from catalog.changes.undo import tasks as undo_tasks  # noqa: F401 (registers the jobs)
        from catalog.edits import tasks as edit_tasks  # noqa: F401 (registers the jobs)
        from catalog.filters import ProductFilters, VariantFilters
        from catalog.home import register_tables
        from catalog.imports import tasks  # noqa: F401 (registers the jobs)
        from catalog.imports.models import ImportJob
        from catalog.imports.serializers import ImportRead
        from catalog.rights import EXPORT, IMPORT
        from catalog.serializers import BrandRead, CategoryRead, ProductRead, VariantRead
        from catalog.tallies.folding import find_wrong_tallies
        from catalog.writes.declared import find_mistyped
        from catalog.writes.stored import (
            find_odd_currencies,
            find_odd_skus,
            find_repeated_barcodes,
            find_without_variants,
            find_wrong_title_keys,
        )
        from catalog.writes.trial import try_write
        from config.api.access.scopes import IMPORTS
        from config.api.problems.stored import register_finder, register_trial
        from config.api.reads.resources import TABLE_FORMATS, Resource, register_resource
        from config.api.reads.root_lists import register_lists
        from config.api.webhooks.events import set_log

        FRESHNESS.follow_log(follow_changes, {*list_covered(), COUNTED_TABLE}, number_batch)
        FRESHNESS.watch((models.Tally._meta.db_table, models.TallyChange._meta.db_table))
        register_finder(find_backlog)
        register_finder(find_mistyped)
        register_finder(find_odd_currencies)
        register_finder(find_odd_skus)
        register_finder(find_repeated_barcodes)
        register_finder(find_without_variants)
        register_finder(find_wrong_tallies)
        register_finder(find_wrong_title_keys)
        register_trial(try_write)
        self.fill_admin()
        self.help_agents()
        self.register_chores()
        self.switch_prices()
        self.keep_locations()
        self.register_gauges()
        register_lists(
            {
                "products": "product-list",
                "variants": "variant-list",
                "brands": "brand-list",
                "categories": "category-list",
                "attributes": "attribute-list",
                "locations": "location-list",
                "scheduled_prices": "scheduledprice-list",
                "changes": "changes",
                "imports": "importjob-list",
            }
        )
        register_tables(
            {
                models.Product: "Products",
                models.Variant: "Variants",
                models.Brand: "Brands",
                models.Category: "Categories",
            }
        )
        set_log(LOG)
        register_subjects(
            Subject(
                "product", models.Product, ProductRead, "sku",
                parts={
                    models.ProductText: ("text", "product"),
                    models.Variant: ("variants", "product"),
                    models.Image: ("images", "product"),
                },
            ),
            Subject("price", models.Variant, VariantRead, "sku", ("updated",), find_new_price),
            Subject("stock", models.Stock, exporting.StockRow, "sku", ("updated",), find_any_write),
            Subject("brand", models.Brand, BrandRead, "slug"),
            Subject("category", models.Category, CategoryRead, "slug"),
            Subject(
                "import", ImportJob, ImportRead, "", ("ready", "failed"), find_end, right=IMPORT, scope=IMPORTS.read
            ),
        )  # fmt: skip
        followed = partial(Resource, right=EXPORT, is_followed=True)
        for resource in (
            followed(
                "products",
                shape=ProductRead,
                flat_shape=exporting.ProductRow,
                formats=(*TABLE_FORMATS, "google", "google_tsv", "agentic"),
                filters=ProductFilters,
                open_parameters=("attr.",),
                check_rows=exporting.refuse_cut_search,
            ),
            followed("variants", shape=exporting.VariantRow, filters=VariantFilters),
            followed("stock", shape=exporting.StockRow),
            followed(
                "changes",
                rows_for=exporting.list_changes,
                shape=exporting.ChangeRow,
                public_shape=exporting.ActiveChangeRow,
                full_right="catalog.view_product",
                filters=exporting.ChangeFilters,
                check_after=exporting.check_after,
            ),
            followed(
                "catalogue",
                shape=backup.ProductLine,
                formats=("ndjson",),
                noun="of the catalogue",
                read_head=backup.read_head,
                finish_line=backup.finish_product,
            ),
        ):
            register_resource(resource)

    def help_agents(self) -> None:
        from catalog.tools import TOOLS
        from config.api.tools.registry import register_tool

        for tool in TOOLS:
            register_tool(tool)

    def register_gauges(self) -> None:
        from catalog.changes.log import read_lag
        from catalog.changes.pushing import HUB

        lag = Family("Age of the oldest committed change that has no place in the feed yet.")
        waiting = Family("Committed changes that have no place in the feed yet, up to 100,000.")
        register_database_gauges(read_lag, {"change_feed_lag_seconds": lag, "change_feed_waiting": waiting})
        register_process_gauges(HUB.read_gauges, {"push_streams": Family("Open streams of changes.")})

    def fill_admin(self) -> None:
        """The first page, and who changed a row that two people edit."""
        from catalog.changes.history import name_last_author
        from catalog.staff.dashboard import list_items
        from config.api.admin.dashboard import register_dashboard
        from config.api.admin.forms import register_author

        register_dashboard(list_items)
        register_author(name_last_author)

    def register_chores(self) -> None:
        from catalog.changes.log import keep_log
        from catalog.media.sweeping import SWEEP_EVERY, sweep_some
        from catalog.media.thumbnails import make_thumbnails
        from catalog.search.vocabulary import WORDS_EVERY, count_words
        from catalog.tallies.folding import FOLD_EVERY, fold_tallies, recount
        from config.api.jobs.chores import register_chore

        register_chore("keep the change log", keep_log)
        register_chore("count the words of searches", count_words, every=WORDS_EVERY)
        register_chore("fold the tallies of products", fold_tallies, every=FOLD_EVERY)
        register_chore("recount products", recount, every=timedelta(days=1))
        register_chore("make small pictures", make_thumbnails)
        register_chore("sweep pictures", sweep_some, every=SWEEP_EVERY)

    def switch_prices(self) -> None:
        """Workers set scheduled prices; who looks after them hears of late ones."""
        from catalog.prices import switching
        from config.api.jobs.timers import register_timer
        from config.api.problems.stored import register_finder

        register_timer("switch prices", switching.find_wait, switching.switch_prices)
        register_finder(switching.find_overdue)
        overdue = Family("Scheduled prices whose switch is more than ten seconds late, up to 10,000.")
        register_database_gauges(switching.read_overdue, {"scheduled_prices_overdue": overdue})

    def keep_locations(self) -> None:
        """Products follow a location that is switched; who looks after them hears of undeclared ones."""
        from catalog.locations import settle_locations
        from catalog.writes.stored import find_undeclared
        from config.api.jobs.chores import register_chore
        from config.api.problems.stored import register_finder

        register_chore("settle locations", settle_locations)
        register_finder(find_undeclared)
