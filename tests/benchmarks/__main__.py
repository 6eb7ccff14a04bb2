"""`python -m tests.benchmarks`."""

import sys

from tests.benchmarks.main import main

sys.exit(main(sys.argv[1:]))
