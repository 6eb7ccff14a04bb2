"""The OpenAPI document: what drf-spectacular can't see in a view by itself."""

from drf_spectacular.openapi import AutoSchema


class Schema(AutoSchema):
    """drf-spectacular's."""
