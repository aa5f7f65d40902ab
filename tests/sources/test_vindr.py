"""VinDr-Mammo: the published counts, boxes at the edge, and what is not known."""

import itertools

import polars as pl
import pytest

from fourview.errors import ManifestError
from fourview.manifest.manifest import images_with_labels
from fourview.sources.vindr import read_vindr

IMAGE_HEADER = "study_id,series_id,image_id,laterality,view_position,height,width,"
IMAGE_HEADER += "breast_birads,breast_density,split"
FINDING_HEADER = "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,"
FINDING_HEADER += "breast_density,finding_categories,finding_birads,xmin,ymin,xmax,ymax,split"
BIRADS = {"training": (10724, 3742, 744, 610, 180), "test": (2682, 934, 186, 152, 46)}
DENSITY = {"training": (80, 1528, 12232, 2160), "test": (20, 380, 3060, 540)}
MASSES = {"training": 894, "test": 0}
CALCIFICATIONS = {"training": 337, "test": 0}


def write(root, images, findings):
    (root / "breast-level_annotations.csv").write_text("\n".join([IMAGE_HEADER, *images]) + "\n")
    (root / "finding_annotations.csv").write_text("\n".join([FINDING_HEADER, *findings]) + "\n")


def repeated(counts, each):
    return list(itertools.chain.from_iterable([k] * (n // each) for k, n in counts))


def published_shape():
    """5,000 studies; every breast has one BI-RADS, 32 studies have two densities."""
    images, findings, study = [], [], 0
    for split in ("training", "test"):
        birads = repeated(enumerate(BIRADS[split], start=1), 2)
        densities = repeated(zip("ABCD", DENSITY[split], strict=True), 4)
        number = 0
        for index, density in enumerate(densities):
            study += 1
            for side, view in itertools.product("RL", ("CC", "MLO")):
                image, own = f"i{study}{side}{view}", density
                if split == "training" and index < 16:  # A studies lend their left breast to C
                    own = "C" if side == "L" else density
                if split == "training" and 3000 <= index < 3016:
                    own = "A" if side == "L" else density
                head = f"s{study},x,{image},{side},{view},3518,2800"
                level = birads[2 * index + (side == "L")]
                tail = f"BI-RADS {level},DENSITY {own}"
                images.append(f"{head},{tail},{split}")
                names = ["Mass"] * (number < MASSES[split])
                names += ["Suspicious Calcification"] * (number < CALCIFICATIONS[split])
                box = "BI-RADS 4,10,20,30,40" if names else ",,,,"
                names = names or ["No Finding"]
                findings.append(f'{head},{tail},"{names}",{box},{split}')
                number += 1
    return images, findings


def test_has_the_published_split_table_and_class_ratios(tmp_path):
    write(tmp_path, *published_shape())
    manifest = read_vindr(tmp_path)
    table = images_with_labels(manifest)
    assert manifest.exams["split"].value_counts().sort("split").rows() == [
        ("test", 1000),
        ("train", 4000),
    ]
    for ours, theirs in (("train", "training"), ("test", "test")):
        part = table.filter(pl.col("split") == ours)
        assert part["birads"].value_counts().sort("birads")["count"].to_list() == list(
            BIRADS[theirs]
        )
        density = part["density"].value_counts().sort("density")["count"]
        assert density.to_list() == list(DENSITY[theirs])
    train = table.filter(pl.col("split") == "train")
    for label, ratio in (("mass", 16.897), ("calcification", 46.478)):
        negative, positive = (train[label] == 0).sum(), (train[label] == 1).sum()
        assert negative / positive == pytest.approx(ratio, abs=5e-4)  # given to three decimals
    assert manifest.exams["density"].null_count() == 32
    assert manifest.breasts["density"].null_count() == 0
    assert manifest.breasts["cancer"].null_count() == 10_000


ONE = "s,x,a,L,CC,100,80,BI-RADS 4,DENSITY B,training"


def finding(categories, box, level="BI-RADS 4"):
    return f's,x,a,L,CC,100,80,BI-RADS 4,DENSITY B,"{categories}",{level},{box},training'


def test_boxes_are_cut_at_the_edge_and_keep_all_categories(tmp_path):
    rows = [
        finding(["Skin Thickening", "Suspicious Lymph Node"], "-3.5,10,40,120.2"),
        finding(["Mass"], "90,10,95,20"),
    ]
    write(tmp_path, [ONE], rows)
    findings = read_vindr(tmp_path).findings
    boxes = findings.select("finding_id", "kind", "x0", "y0", "x1", "y1", "box_note").rows()
    assert boxes == [
        ("a-1", "skin_thickening", 0.0, 10.0, 40.0, 100.0, "cut at the edge"),
        ("a-2", "mass", None, None, None, None, "no pixel of the image"),
    ]
    assert findings["categories"][0].to_list() == ["Skin Thickening", "Suspicious Lymph Node"]


def test_an_unknown_category_is_refused_with_its_row(tmp_path):
    write(tmp_path, [ONE], [finding(["Mass"], "1,1,2,2"), finding(["Lump"], "1,1,2,2")])
    with pytest.raises(ManifestError, match=r"finding_annotations.csv:3: categories 'Lump'"):
        read_vindr(tmp_path)
