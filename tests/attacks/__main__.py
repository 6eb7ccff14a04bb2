"""`python -m tests.attacks`."""

import sys

from tests.attacks.main import main

sys.exit(main(sys.argv[1:]))
