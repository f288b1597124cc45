"""Builds the box's image: a recipe and a lock go in, the same bytes come out each time.

Values and decisions: board, flavour, recipe, lock, seed, layout, boot_text, manifest, bill. Steps with I/O: the rest;
each reads files, writes one beside its place, and renames it. `make image-build` runs them in the order of build.py.
"""
