"""What each data set is, whose it is, and what has to be there before it is read.

Shown by ``fourview list sources``; ``docs/data_sets.md`` has the same with traps and counts. No
package is imported here: a list is printed within half a second.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One data set.

    Attributes:
        title: Its name and what it has, in one line.
        knows: What its labels say.
        need: Files that must be there, below the folder that ``fourview index`` is given.
        terms: The licence, in a few words.
        link: Where it is described and asked for; empty where there is no such place.
        doi: DOI of the data.
        cite: The paper.
    """

    title: str
    knows: str
    need: str
    terms: str
    link: str = ""
    doi: str = ""
    cite: str = ""


CARDS = {
    "cbis_ddsm": Card(
        title="CBIS-DDSM: digitised film, United States, 1,566 patients",
        knows="cancer of each breast by biopsy, BI-RADS, density, masks of findings",
        need="the four *_case_description_*_set.csv, and the case folders",
        terms="CC BY 3.0",
        link="https://www.cancerimagingarchive.net/collection/cbis-ddsm/",
        doi="10.7937/K9/TCIA.2016.7O02S9CY",
        cite="Lee et al. 2017, Scientific Data 4:170177",
    ),
    "cdd_cesm": Card(
        title="CDD-CESM: contrast mammography with its low-energy images, Egypt, 326 patients",
        knows="cancer of each breast by pathology, BI-RADS, density, drawn regions",
        need="Radiology-manual-annotations.csv, and the two image folders or images and masks",
        terms="CC BY 4.0",
        link="https://www.cancerimagingarchive.net/collection/cdd-cesm/",
        doi="10.7937/29kw-ae92",
        cite="Khaled et al. 2022, Scientific Data 9:122",
    ),
    "cmmd": Card(
        title="CMMD: digital mammograms before biopsy, China, 1,775 patients",
        knows="cancer of each breast by biopsy, mass or calcification, subtype, age; no boxes",
        need="CMMD_clinicaldata_revision.xlsx or .csv, and the .dcm files in any tree",
        terms="CC BY 4.0",
        link="https://www.cancerimagingarchive.net/collection/cmmd/",
        doi="10.7937/tcia.eqde-4b16",
        cite="Cui et al. 2021, The Cancer Imaging Archive",
    ),
    "csv": Card(
        title="A table of your own: one row per image",
        knows="what its columns cancer, birads, density, age and split say; boxes in findings.csv",
        need="a CSV with patient_id, exam_id, side, view and path; Mirai's column names will do",
        terms="yours",
    ),
    "dicom": Card(
        title="Any folder of DICOM mammograms",
        knows="no labels; side, view, date, age, vendor and pixel size of the headers",
        need="a folder; archives and files that are no DICOM may be among them",
        terms="those under which you have the files",
    ),
    "embed": Card(
        title="EMBED, 20 % release: screening and diagnostic, United States, 22,382 patients",
        knows="BI-RADS, density and pathology of each breast, words of reports, some boxes",
        need="the tables EMBED_OpenData_metadata*.csv and EMBED_OpenData_clinical*.csv, and images",
        terms="academic use after registration; neither data nor weights may be passed on",
        link="https://registry.opendata.aws/emory-breast-imaging-dataset-embed/",
        doi="10.1148/ryai.220047",
        cite="Jeong et al. 2023, Radiology: Artificial Intelligence 5(1):e220047",
    ),
    "inbreast": Card(
        title="INbreast: digital mammograms, Portugal, 410 images",
        knows="BI-RADS (4 or more stands for cancer), density, exact outlines; no biopsies",
        need="INbreast.csv or .xlsx, AllDICOMs and AllXML",
        terms="research under its transfer agreement",
        doi="10.1016/j.acra.2011.09.014",
        cite="Moreira et al. 2012, Academic Radiology 19:236-248",
    ),
    "mias": Card(
        title="mini-MIAS: digitised film, United Kingdom, 161 patients, MLO only",
        knows="abnormality and its severity with a circle; kind of tissue, no BI-RADS",
        need="Info.txt and the mdbNNN.pgm files",
        terms="research; images may not be sold or lent",
        link="http://peipa.essex.ac.uk/info/mias.html",
        cite="Suckling et al. 1994, Excerpta Medica 1069:375-378",
    ),
    "nyu": Card(
        title="Exam lists of NYU's programs (GMIC, breast_cancer_classifier, meta-repository)",
        knows="malignant and benign of each breast",
        need="one pickled exam list, and images/ID.png",
        terms="those of whoever made the list",
        doi="10.1016/j.media.2020.101908",
        cite="Shen et al. 2021, Medical Image Analysis 68:101908",
    ),
    "phantom": Card(
        title="Phantom exams that `fourview phantom` makes; no patient",
        knows="everything: cancer, density, boxes and masks of findings, nipple, pectoral line",
        need="the folder that it wrote",
        terms="free to use",
    ),
    "rsna": Card(
        title="RSNA Screening Mammography Breast Cancer Detection: 11,913 patients",
        knows="cancer of each breast (2 %), BI-RADS and density of half of them; no boxes",
        need="train.csv, and train_images as DICOM or pictures",
        terms="rules of the competition, non-commercial",
        link="https://www.kaggle.com/competitions/rsna-breast-cancer-detection",
        cite="Carr et al. 2022, RSNA Screening Mammography Breast Cancer Detection",
    ),
    "vindr": Card(
        title="VinDr-Mammo: 5,000 exams, Vietnam",
        knows="BI-RADS and density of each breast, boxes of findings; no biopsies, so no cancer",
        need="breast-level_annotations.csv, finding_annotations.csv, and images",
        terms="PhysioNet data use agreement; no redistribution",
        link="https://physionet.org/content/vindr-mammo/1.0.0/",
        doi="10.13026/br2v-7517",
        cite="Nguyen et al. 2023, Scientific Data 10:277",
    ),
}
