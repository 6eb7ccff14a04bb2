"""The limits of a web worker's threads and queues. The launcher reads them too, so this module loads no app."""

# How many requests may wait for a slot, and for how many seconds. A request past either limit is refused, which costs
# a fraction of a page.
MOST_WAITING = 256
WAIT_SECONDS = 2.0

# How many requests may wait for a cache key that another one fills; the next asks the database itself. After a write
# all clients of a page come at once, and none of them repeats the query.
MOST_AT_FLIGHTS = 512

# How many bodies are read ahead at once; each may take as long as its client likes.
MOST_BODIES = 96

# Threads for streams, and for probes and refusals, which must always find one.
SPARE_THREADS = 64


def count_threads(slots: int) -> int:
    """How many threads a worker needs, so that one is always free for a probe. A thread starts when it is needed.

    With four threads or nine hundred, an empty request of 16 clients costs the same (37 microseconds of CPU, granian
    2.8.7). A single thread would cost 26, since nobody else wants Python's lock, but it couldn't wait for anything.
    """
    return slots + MOST_WAITING + MOST_AT_FLIGHTS + MOST_BODIES + SPARE_THREADS
