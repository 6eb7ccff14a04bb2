"""How much the suite asks of tests whose inputs are endless: one in so many.

`SHARE=1`, in `make test-faults`, asks all.
"""

import os


def share(number: int, one_in: int = 4) -> int:
    """So many examples of `number`, but never fewer than five."""
    return max(5, number // int(os.environ.get("SHARE", one_in)))
