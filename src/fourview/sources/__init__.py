"""One file per data set, with one function: its published files in, a Manifest out.

``NAME.py`` holds ``read_NAME(root)`` and is found by its name; a file that begins with ``_`` is
shared by sources and is none itself.
"""
