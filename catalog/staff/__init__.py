"""What the admin's pages of the catalogue are made of: filters, forms and inlines."""
