"""Viewsets and serializers in, the OpenAPI document and the API's root out."""
