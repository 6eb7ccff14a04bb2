"""The gate, asked as the tests of config ask it."""

from tests.config.conftest import ask, django, lasting

__all__ = ("ask", "django", "lasting")
