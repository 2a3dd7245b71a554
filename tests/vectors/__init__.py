"""What ops make of carts, as the service says it, for clients that foretell it.

`cases` holds the cases, `making` lets the service judge and apply each, `exploring` finds out what
a kind of op can be answered with. `python -m tests.vectors` writes the JSON files in this folder,
one a kind: `tests/test_vectors.py` holds them fresh and complete, `tests/sdk/vectors.test.mjs`
holds the client library to them.
"""
