"""Secrets in texts: tokens, cookies, passwords, signatures, the secrets of feeds."""

import pytest

from config.redaction import redact


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Authorization: Token 0123456789abcdef", "Authorization: Token ***"),
        ('{"password": "hunter2", "name": "x"}', '{"password": "***", "name": "x"}'),
        (r'{"body": "{\"token\": \"0123\"}"}', r'{"body": "{\"token\": \"***\"}"}'),
        ("https://bucket/x?X-Amz-Signature=0123&n=1", "https://bucket/x?X-Amz-Signature=***&n=1"),
        ("no answer of postgres://shop:hunter2@db/shop", "no answer of postgres://shop:***@db/shop"),
        ("{'Cookie': 'sessionid=0123; theme=dark'}", "{'Cookie': '***'}"),
        (f"/api/v1/feeds/3/{'s' * 32}/delta/", "/api/v1/feeds/3/***/delta/"),
        ("GET /api/v1/auth/tokens/ 200, a token is wrong", "GET /api/v1/auth/tokens/ 200, a token is wrong"),
    ],
)
def test_secrets_are_redacted(text: str, kept: str) -> None:
    assert redact(text) == kept
