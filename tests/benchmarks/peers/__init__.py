"""The usual ways to serve the same page, each as its own documentation recommends; run in .venv-bench."""
