"""Work that outlasts a request, and work that comes again: an app's functions in, a worker that runs them out."""
