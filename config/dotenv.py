"""`python -m config.dotenv`: adds a new SECRET_KEY to `.env`, unless `.env` or the environment has one."""

import os
import secrets
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / ".env"


def add_secret_key(file: Path) -> None:
    text = file.read_text() if file.exists() else ""
    named = any(line.removeprefix("export ").strip().startswith("SECRET_KEY=") for line in text.splitlines())
    if named or os.environ.get("SECRET_KEY"):
        return
    if text and not text.endswith("\n"):
        text += "\n"
    write_private(file, f"{text}SECRET_KEY={secrets.token_urlsafe(50)}\n")


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(text)


if __name__ == "__main__":
    add_secret_key(FILE)
