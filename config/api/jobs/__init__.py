"""Background work: jobs that outlast a request, periodic tasks, and the storage of jobs' files."""
