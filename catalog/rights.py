"""The permissions to export and to import the whole catalogue; the model Product declares them."""

EXPORT = "catalog.export_product"
IMPORT = "catalog.import_product"
# Django's own. An import needs it for rows that delete their product.
DELETE = "catalog.delete_product"
# To take changes back, whoever made them; the model Change declares it.
UNDO = "catalog.undo_change"
