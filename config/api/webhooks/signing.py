"""Secrets and signatures of webhooks, by the Standard Webhooks specification (standardwebhooks.com).

A secret is `whsec_` and 32 random bytes in base64. A signature is `v1,` and the HMAC-SHA256, in base64, of the
message's id, the time of the attempt in seconds and the body, with dots between them.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, message: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b"%s.%d.%s" % (message.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def write_headers(signers: Sequence[str], message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers. With several secrets there are several signatures: the receiver accepts any of them."""
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message, timestamp, body) for secret in signers),
    }
