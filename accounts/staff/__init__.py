"""Parts of the accounts' admin pages: users, credentials, orders, and their filters."""
