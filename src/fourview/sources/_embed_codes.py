"""What EMBED's codes mean (its AWS_Open_Data_Clinical_Legend.csv), in our words."""

KINDS = {
    "2D": "ffdm",
    "cview": "synthetic",
    "C-view": "synthetic",
    "3D": "tomosynthesis",
    "ROI_SSC": "roi_capture",
    "ROI_SS": "roi_capture",
}
ASSESSMENTS = {letter: category for category, letter in enumerate("ANBPSMK")}  # BI-RADS 0 to 6
MASS_SHAPES = {
    "G": "generic",
    "R": "round",
    "O": "oval",
    "X": "irregular",
    "Q": "questioned architectural distortion",
    "A": "architectural distortion",
    "T": "asymmetric tubular structure or dilated duct",
    "N": "intramammary lymph node",
    "B": "global asymmetry",
    "F": "focal asymmetry",
    "S": "asymmetry",
    "V": "developing asymmetry",
    "Y": "lymph node",
}
MASS_DENSITIES = {"+": "high density", "=": "isodense", "-": "low density", "0": "fat containing"}
CALC_TYPES = {
    "A": "amorphous",
    "9": "benign",
    "H": "coarse heterogeneous",
    "C": "coarse popcorn-like",
    "D": "dystrophic",
    "E": "rim",
    "F": "fine linear",
    "B": "fine linear branching",
    "G": "generic",
    "I": "fine pleomorphic",
    "L": "large rod-like",
    "M": "milk of calcium",
    "J": "oil cyst",
    "K": "pleomorphic",
    "P": "punctate",
    "R": "round",
    "S": "skin",
    "O": "lucent-centred",
    "U": "suture",
    "V": "vascular",
    "Q": "coarse",
}
CALC_DISTRIBUTIONS = {
    "G": "grouped",
    "S": "segmental",
    "R": "regional",
    "D": "diffuse or scattered",
    "L": "linear",
    "C": "clustered",
}
