"""The view stands in Acquisition Device Processing Description (0018,1400) alone."""

import sys

import mg


def change(ds, side, view):
    del ds.ViewCodeSequence, ds.PatientOrientation
    ds.ViewPosition = ""
    ds.AcquisitionDeviceProcessingDescription = view


mg.exam(sys.argv[1], change)
