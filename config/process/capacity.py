"""The limits of a web worker's threads and queues. The launcher reads them too, so this module loads no app."""

import resource

# How many requests may wait for a slot, and for how many seconds. A request past either limit is refused, which costs
# a fraction of a page.
MOST_WAITING = 256
WAIT_SECONDS = 2.0

# How many requests may wait for a cache key that another one fills; the next asks the database itself. After a write
# all clients of a page come at once, and none of them repeats the query.
MOST_AT_FLIGHTS = 512

# How many bodies are read ahead at once of callers who bring credentials, and of others, whose bodies are small.
MOST_BODIES = 96
MOST_BODIES_OF_STRANGERS = 256

# How many requests may wait for the share of uploads, and for that of searches.
MOST_UPLOADS_WAITING = 32
MOST_SEARCHES_WAITING = 64
# How many probes of each kind are answered at once, and how many more may wait.
MOST_PROBES, MOST_PROBES_WAITING = 2, 32

# Threads for streams, and for probes and refusals, which must always find one.
SPARE_THREADS = 64


# Connections that a process accepts at once; the next one waits until another ends. So many clients may send half a
# request each, and probes still get through. Each takes a file, and some kilobytes until its head is whole.
MOST_CONNECTIONS = 4096
# Files beside those of connections.
OTHER_FILES = 1024
# A request's head: how many milliseconds it may take, and how many bytes. A list of 200 SKUs takes 60 kB.
HEAD_MS = 10_000
HEAD_BYTES = 128 * 1024


def count_connections() -> int:
    """How many connections a process can accept: up to MOST_CONNECTIONS, by the files that the machine lets it open."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    if 0 <= files < wanted:  # below zero means without end
        files = wanted if most < 0 else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return MOST_CONNECTIONS if files < 0 else min(MOST_CONNECTIONS, max(files - OTHER_FILES, files // 2))


def count_threads(slots: int) -> int:
    """How many threads a worker needs, so that one is always free for a probe. A thread starts when it is needed.

    With four threads or nine hundred, an empty request of 16 clients costs the same (37 microseconds of CPU, granian
    2.8.7). A single thread would cost 26, since nobody else wants Python's lock, but it couldn't wait for anything.
    """
    waiting = MOST_WAITING + MOST_AT_FLIGHTS + MOST_UPLOADS_WAITING + MOST_SEARCHES_WAITING + 3 * MOST_PROBES_WAITING
    return slots + waiting + MOST_BODIES + MOST_BODIES_OF_STRANGERS + SPARE_THREADS
