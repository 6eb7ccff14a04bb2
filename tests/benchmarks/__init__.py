"""The benchmark behind the promise: `make bench`. README.md says what it measures; main.py is where it begins."""
