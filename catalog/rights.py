"""The rights to the catalogue as a whole, in both directions; the model Product declares them."""

EXPORT = "catalog.export_product"
IMPORT = "catalog.import_product"
