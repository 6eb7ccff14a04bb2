"""A read serializer in, texts of its rows out that triggers keep beside them (PostgreSQL)."""
