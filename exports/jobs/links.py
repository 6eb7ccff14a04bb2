"""Signed links to a job's file, which need no token. They work for an hour, while the owner may export."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.signing import BadSignature, TimestampSigner
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from exports.models import ExportJob

LIFETIME = timedelta(hours=1)
SALT = "exports.links"
PARAMETER = "signature"


def sign_link(job: ExportJob, url: str) -> tuple[str, datetime]:
    """`url` with a signature, and the time when it expires."""
    value = TimestampSigner(salt=SALT).sign(f"{job.pk}:{job.owner_id}")
    return f"{url}?{PARAMETER}={value.split(':', 1)[1]}", timezone.now() + LIFETIME


class LinkAuthentication(BaseAuthentication):
    """`?signature=…` signs the job's owner in, for this file only. The owner's permissions are checked as usual."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        if PARAMETER not in request.query_params:
            return None
        job_id = request.parser_context["kwargs"]["pk"]
        try:
            value = TimestampSigner(salt=SALT).unsign(f"{job_id}:{request.query_params[PARAMETER]}", max_age=LIFETIME)
        except BadSignature as error:
            raise AuthenticationFailed("The link is damaged or expired; get a new one from the manifest.") from error
        owner = get_user_model().objects.filter(pk=value.split(":")[1], is_active=True).first()
        if owner is None:
            raise AuthenticationFailed("The owner of the link no longer exists or isn't active.")
        return owner, None

    def authenticate_header(self, request: Request) -> str:
        return "Token"


class LinkScheme(OpenApiAuthenticationExtension):
    """The signature as a security scheme of the OpenAPI document."""

    target_class = "exports.jobs.links.LinkAuthentication"
    name = "signedLink"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        description = "The `url` in a manifest has it. It expires after an hour."
        return {"type": "apiKey", "in": "query", "name": PARAMETER, "description": description}
