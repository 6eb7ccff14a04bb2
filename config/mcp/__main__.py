"""`python -m config.mcp`: the tools for an agent on this machine, over standard input and output."""

import os
import sys
from importlib import import_module

import django
from django.core.exceptions import ImproperlyConfigured


def main() -> None:
    # The protocol alone may write to standard output, so the log goes to standard error.
    output, sys.stdout = sys.stdout, sys.stderr
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        django.setup()
        import_module("config.mcp.stdio").serve(output)
    except ModuleNotFoundError:
        sys.exit("tenfold: the extra mcp isn't installed: pip install '.[mcp]'")
    except ImproperlyConfigured as error:
        sys.exit(f"tenfold: {error}")


if __name__ == "__main__":
    main()
