"""Parts of the catalogue's admin pages: filters, forms and inlines."""
