"""How many of what a web worker holds at once. Read by the launcher too, so it loads no app."""

# How many may wait for a slot, and how long: a request past either is refused, which costs a fraction of a page.
MOST_WAITING = 256
WAIT_SECONDS = 2.0

# How many requests may wait for a cache key that another one fills; the next asks the database itself. After a write
# all clients of a page come at once, and none of them repeats the query.
MOST_AT_FLIGHTS = 512

# Bodies that are read ahead at once, each for as long as its client likes.
MOST_BODIES = 96

# For streams, and for the probes and refusals that must always find one.
SPARE_THREADS = 64


def count_threads(slots: int) -> int:
    """How many threads a worker needs so that one is always free for a probe; they're started as they're needed.

    Four of them or nine hundred, an empty request of 16 clients costs the same (37 microseconds of CPU, granian
    2.8.7); one alone would cost 26, since they hand Python's lock around, and could wait for nothing.
    """
    return slots + MOST_WAITING + MOST_AT_FLIGHTS + MOST_BODIES + SPARE_THREADS
