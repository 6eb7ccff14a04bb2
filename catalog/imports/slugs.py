"""Names in, slugs out: letters of any alphabet, never empty, never too long, always the same for the same name."""

from hashlib import blake2b

from django.utils.text import slugify


def make_slug(name: str, most: int) -> str:
    """The slug of `name`; where nothing or too much is left, a fingerprint of the name keeps it apart from others."""
    slug = slugify(name, allow_unicode=True)
    if slug and len(slug) <= most:
        return slug
    return f"{slug[: most - 9]}-{fingerprint(name)}".strip("-")


def fingerprint(name: str) -> str:
    return blake2b(name.encode(), digest_size=4).hexdigest()
