"""Signed links to a job's file, which need no token.

They work for an hour, while the owner may export and has the same password.
"""

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
    value = make_signer(job.owner).sign(f"{job.pk}:{job.owner_id}")
    return f"{url}?{PARAMETER}={value.split(':', 1)[1]}", timezone.now() + LIFETIME


def make_signer(owner: Any) -> TimestampSigner:
    """A new password ends the owner's links, as it ends their tokens."""
    return TimestampSigner(salt=f"{SALT}:{owner.password}")


class LinkAuthentication(BaseAuthentication):
    """`?signature=…` signs the job's owner in, for this file only. The owner's permissions are checked as usual."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        if PARAMETER not in request.query_params:
            return None
        signature, job_id = request.query_params[PARAMETER], request.parser_context["kwargs"]["pk"]
        owner = find_owner(signature.split(":")[0])
        if owner is None:
            raise AuthenticationFailed("The owner of the link no longer exists or isn't active.")
        try:
            make_signer(owner).unsign(f"{job_id}:{signature}", max_age=LIFETIME)
        except BadSignature as error:
            raise AuthenticationFailed("The link is damaged or expired; get a new one from the manifest.") from error
        return owner, None

    def authenticate_header(self, request: Request) -> str:
        return "Token"


def find_owner(key: str) -> Any:
    """The active user whom a link names; None if there is none."""
    is_key = key.isascii() and key.isdigit() and len(key) <= 18
    return get_user_model().objects.filter(pk=key, is_active=True).first() if is_key else None


class LinkScheme(OpenApiAuthenticationExtension):
    """The signature as a security scheme of the OpenAPI document."""

    target_class = "exports.jobs.links.LinkAuthentication"
    name = "signedLink"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        description = "The `url` in a manifest has it. It expires after an hour."
        return {"type": "apiKey", "in": "query", "name": PARAMETER, "description": description}
