"""The permissions to export and to import the whole catalogue; the model Product declares them."""

EXPORT = "catalog.export_product"
IMPORT = "catalog.import_product"
