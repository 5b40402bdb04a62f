"""The command line, and the builder of the book."""
