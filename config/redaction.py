"""What logs, traces and error reports never show: secrets in texts."""

import re

# Cookies; a word that announces a secret, what is between (`=`, `: `, `": "`), and the secret; a scheme of HTTP's
# Authorization; a password in a URL. No secret includes a quote or a backslash, so JSON stays JSON.
SECRETS = re.compile(
    r"""(?ix)
    (\bcookie(?:\\?["'])?\s*[=:]\s*(?:\\?["'])?)[^"'\\\n]+
    |(\b(?:password|passwd|secret|secret_key|token|api_?key|authorization|sessionid|csrftoken
        |signature|sig|x-amz-signature|x-amz-credential|x-amz-security-token)\b
        (?:\\?["'])?\s*[=:]\s*(?:\\?["'])?(?:(?:token|bearer|basic)\s+)?)
        [^\s"'\\,;&)}\]]+
    |(\b(?:token|bearer|basic)\s+)[\w.~+/=-]{16,}
    |(/feeds/[0-9]{1,18}/)[\w-]{32}
    |(\b[a-z][a-z0-9+.-]*://[^\s:/@"'\\]*:)[^\s@"'\\/]+(?=@)
    """
)


def redact(text: str) -> str:
    """`text` with `***` in place of tokens, cookies, passwords and signatures."""
    return SECRETS.sub(lambda found: f"{found[1] or found[2] or found[3] or found[4] or found[5]}***", text)


def show_path(path: str) -> str:
    """The path as a request line has it. Only those of feeds have a secret, and most lines are spared the search."""
    return redact(path) if "/feeds/" in path else path
