"""Four different views that share one SOP Instance UID."""

import sys

import mg


def change(ds, side, view):
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{mg.ROOT}.9.9"


mg.exam(sys.argv[1], change)
