from django.apps import AppConfig


class ExportsConfig(AppConfig):
    name = "exports"
    verbose_name = "Exports"

    def ready(self) -> None:
        from config.api.jobs.chores import register_chore
        from exports.sweeping import sweep_exports

        register_chore("sweep exports", sweep_exports)
