"""Corpora: folder -> list of utterances, one module a layout; and their download and unpacking."""
