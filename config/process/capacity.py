"""The limits of a web worker's threads and queues. The launcher reads them too, so this module loads no app."""

import resource

# The most requests that wait for a slot, and the most seconds. A request past either limit gets 503, which costs a
# fraction of a page.
MOST_WAITING = 256
WAIT_SECONDS = 2.0

# The most requests that wait while another one fills their cache key. Further ones ask the database themselves. The
# number is large, since after a write all clients of a page come at once, and should wait instead of all querying.
MOST_AT_FLIGHTS = 512

# The most bodies that are read ahead at the same time: of callers with credentials, and of others (small bodies only).
MOST_BODIES = 96
MOST_BODIES_OF_STRANGERS = 256

# The most requests that wait for the share of uploads, and for the share of searches.
MOST_UPLOADS_WAITING = 32
MOST_SEARCHES_WAITING = 64
# The most probes of each kind that are answered at the same time, and the most that wait.
MOST_PROBES, MOST_PROBES_WAITING = 2, 32

# The most streams of Server-Sent Events in a process. A stream takes a connection, a file and 20 kB, but no thread.
MOST_STREAMS = 1024

# The most bodies that are sent in pieces at the same time, such as files: each holds a thread while its client reads.
MOST_SENT = 256

# Additional threads for probes and 503s, so that probes and 503s always find a free thread.
SPARE_THREADS = 64


# The most connections that a process accepts. Further ones wait until another ends. The number is large, so that probes
# still get through while thousands of clients send only half a request. A connection takes a file, and a few kilobytes
# until its head is complete.
MOST_CONNECTIONS = 4096
# The number of open files that aren't connections.
OTHER_FILES = 1024
# The limits of a request's head, in milliseconds and in bytes. A query string with 200 SKUs may have 60 kB.
HEAD_MS = 10_000
HEAD_BYTES = 128 * 1024


def count_connections() -> int:
    """The number of connections that a process can accept: MOST_CONNECTIONS, or less if it may open fewer files."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    if 0 <= files < wanted:  # a negative number means unlimited
        files = wanted if most < 0 else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return MOST_CONNECTIONS if files < 0 else min(MOST_CONNECTIONS, max(files - OTHER_FILES, files // 2))


def count_threads(slots: int) -> int:
    """The number of threads of a worker, so that one is always free for a probe. A thread starts when it is needed.

    With four threads or nine hundred, an empty request of 16 clients costs the same (37 microseconds of CPU, granian
    2.8.7). A single thread would cost 26, since nobody else wants Python's lock, but it couldn't wait for anything.
    """
    waiting = MOST_WAITING + MOST_AT_FLIGHTS + MOST_UPLOADS_WAITING + MOST_SEARCHES_WAITING + 3 * MOST_PROBES_WAITING
    return slots + waiting + MOST_BODIES + MOST_BODIES_OF_STRANGERS + MOST_SENT + SPARE_THREADS
