"""The benchmark behind the promise: `make bench`. tests/README.md says what it measures; main.py is where it begins."""
