"""How the page reaches browsers: its files kept in memory, compressed, under a name of their own.

`site.py` holds the files of the `static` package as they are now, `asset.py` one file and how it
is sent, `encodings.py` what a browser takes, `making.py` what is made of files: pages that name
this version's files, and the worker that keeps them.
"""
