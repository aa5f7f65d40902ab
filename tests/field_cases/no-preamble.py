"""Files that begin with their meta information: no preamble, no DICM."""

import sys

import mg

for number, (side, view) in enumerate(mg.FOUR, start=1):
    ds = mg.header(
        mg.picture(side=side, view=view, seed=number), side=side, view=view, number=number
    )
    mg.write(f"{sys.argv[1]}/{side}-{view}.dcm", mg.as_bytes(ds)[132:])
