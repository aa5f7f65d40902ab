"""Codes and words for views, modifiers and kinds of object (PS3.16 CID 4014, CID 4015; PS3.4 B.5).

Every code stands here twice: as SNOMED CT (SCT) and as the older SNOMED RT style (SRT, SNM3, 99SDM)
that most archives still hold. The tests compare them with the dictionaries of pydicom.
"""

from fourview.entities.reasons import Reason

# Position by code value. "specimen" is no position of a breast: it is left out.
VIEW_CODES = {
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "ML",
    "R-10224": "ML",
    "399352003": "LM",
    "R-10228": "LM",
    "399099002": "LMO",
    "R-10230": "LMO",
    "399196006": "FB",  # from below: caudo-cranial
    "R-10244": "FB",
    "399188001": "SIO",
    "R-102D0": "SIO",
    "441555000": "ISO",
    "R-40AAA": "ISO",
    "399192008": "XCCL",
    "R-1024A": "XCCL",
    "399101009": "XCCM",
    "R-1024B": "XCCM",
    "127457009": "specimen",
    "G-8310": "specimen",
}
MODIFIER_CODES = {
    "399161006": "cleavage",
    "R-102D2": "cleavage",
    "399011000": "axillary_tail",
    "R-102D1": "axillary_tail",
    "399197002": "rolled_lateral",
    "R-102D3": "rolled_lateral",
    "399226006": "rolled_medial",
    "R-102D4": "rolled_medial",
    "414493004": "rolled_inferior",
    "R-102CA": "rolled_inferior",
    "415670009": "rolled_superior",
    "R-102C9": "rolled_superior",
    "399209000": "implant_displaced",
    "R-102D5": "implant_displaced",
    "399163009": "magnification",
    "R-102D6": "magnification",
    "399055006": "spot",
    "R-102D7": "spot",
    "399110001": "tangential",
    "R-102C2": "tangential",
    "442581004": "nipple_in_profile",
    "R-40AB3": "nipple_in_profile",
    "441752004": "anterior_compression",
    "P2-00161": "anterior_compression",
    "442593008": "infra_mammary_fold",
    "R-40ABE": "infra_mammary_fold",
    "442580003": "axillary_tissue",
    "R-40AB2": "axillary_tissue",
}

# Side by code value: left and right breast, and the laterality of an anatomic region (CID 244).
SIDE_CODES = {
    "80248007": "L",
    "T-04030": "L",
    "7771000": "L",
    "G-A101": "L",
    "73056007": "R",
    "T-04020": "R",
    "24028007": "R",
    "G-A100": "R",
}

# View Position (0018,5101) and what people write in its place.
VIEW_WORDS = {
    **{word: word for word in ("CC", "MLO", "ML", "LM", "LMO", "FB", "SIO", "ISO")},
    **{word: word for word in ("XCC", "XCCL", "XCCM", "AT", "CV")},
    "MEDIOLATERAL OBLIQUE": "MLO",
    "MEDIO-LATERAL OBLIQUE": "MLO",
    "CRANIOCAUDAL": "CC",
    "CRANIO-CAUDAL": "CC",
    "MLO_R": "MLO",
    "MLO_L": "MLO",
}

MG_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
MG_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds below it

# Objects that are no single mammogram: the start of the SOP Class UID, reason, what it is.
NO_MAMMOGRAM = (
    ("1.2.840.10008.1.3.10", Reason.DIRECTORY, "a directory of media (DICOMDIR)"),
    ("1.2.840.10008.5.1.4.1.1.88.50", Reason.CAD, "a mammography CAD report"),
    ("1.2.840.10008.5.1.4.1.1.88", Reason.REPORT, "a structured report"),
    ("1.2.840.10008.5.1.4.1.1.11", Reason.PRESENTATION, "a presentation state"),
    ("1.2.840.10008.5.1.4.1.1.104", Reason.REPORT, "an encapsulated document"),
    ("1.2.840.10008.5.1.4.1.1.13.1.3", Reason.TOMOSYNTHESIS, "a tomosynthesis volume"),
    ("1.2.840.10008.5.1.4.1.1.13.1.4", Reason.TOMOSYNTHESIS, "tomosynthesis projections"),
    ("1.2.840.10008.5.1.4.1.1.13.1.5", Reason.TOMOSYNTHESIS, "tomosynthesis projections"),
    ("1.2.840.10008.5.1.4.1.1.66", Reason.SEGMENTATION, "a segmentation or registration"),
    ("1.2.840.10008.5.1.4.1.1.67", Reason.MAPPING, "a real world value mapping"),
    ("1.2.840.10008.5.1.4.38", Reason.PROTOCOL, "a hanging protocol"),
)
# Modalities whose images may be mammograms where side and view are named; digitised films, CR.
PLAIN_MODALITIES = frozenset(("MG", "CR", "DX", "OT", "RG", "DF"))
# Modifiers that make an image no whole breast.
NO_WHOLE_BREAST = {
    Reason.SPECIMEN: "a tissue specimen, no breast",
    Reason.SPOT: "a spot compression, which shows a part of the breast",
    Reason.MAGNIFICATION: "a magnified view, which shows a part of the breast",
    Reason.CLEAVAGE: "a cleavage view, which shows two breasts in part",
    Reason.BIOPSY: "taken for a biopsy",
    Reason.LOCALISATION: "taken to localise a lesion",
}
