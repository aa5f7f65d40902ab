"""A prediction as standard DICOM: structured reports, presentation states, a capture, heatmaps.

Begin with ``write.dicom_objects``; ``docs/dicom_output.md`` says which viewer shows what.
"""
