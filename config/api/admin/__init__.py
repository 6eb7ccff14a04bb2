"""What the admin's pages of every app share."""
