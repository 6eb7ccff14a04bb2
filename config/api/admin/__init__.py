"""The base of the admin's pages of all apps."""
