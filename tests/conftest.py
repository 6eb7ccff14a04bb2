"""Fixtures that every test may ask for."""

import pytest
from rest_framework.test import APIClient

from accounts.models import User


@pytest.fixture
def client() -> APIClient:
    """An anonymous caller."""
    return APIClient()


@pytest.fixture
def admin_user(db: None) -> User:
    return User.objects.create_superuser("root@example.com", "root")


@pytest.fixture
def staff(admin_user: User) -> APIClient:
    """A caller who may do everything."""
    client = APIClient()
    client.force_authenticate(admin_user)
    return client
