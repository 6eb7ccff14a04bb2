"""The formats of files, a module each: columns and rows in, drafts of products out. The registry is in all.py."""
