"""Deep learning on mammograms, from raw DICOM to a report. Research use only."""

__version__ = "0.1.0"
