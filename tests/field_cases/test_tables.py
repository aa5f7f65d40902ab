"""Tables and pictures of data sets as people keep them: codings, separators, paths, formats."""

import io
import shutil

import numpy as np
import polars as pl
import pytest
from PIL import Image as Picture

from fourview.errors import EvaluationError, FourviewError, ManifestError
from fourview.evaluate.image_names import with_image_ids
from fourview.evaluate.table import read_predictions
from fourview.manifest.check import check_manifest
from fourview.manifest.findings_file import read_findings
from fourview.manifest.table_text import read_text_table
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import pixel_spec
from fourview.sources._paths import find_paths
from fourview.sources.csv import read_csv
from fourview.sources.embed import read_embed
from fourview.sources.rsna import read_rsna
from fourview.store.raster import read_raster
from fourview.store.read_image import read_listed_image

TEXT = "patient_id,exam_id,side,view,path,age\n1,7,L,CC,a.png,61.5\n2,8,R,MLO,b.png,70\n"
SPEC = pixel_spec("mvccl-384x192")


def missing(manifest):
    return [p.text for p in check_manifest(manifest, files=True) if p.kind == "files"]


CODINGS = {
    "utf-8": TEXT.encode(),
    "utf-8 with a mark": TEXT.encode("utf-8-sig"),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16-be with a mark": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "utf-16-le without a mark": TEXT.encode("utf-16-le"),
    "utf-16-be without a mark": TEXT.encode("utf-16-be"),
    "utf-32": TEXT.encode("utf-32"),
    "windows": TEXT.replace("a.png", "\xe4.png").encode("cp1252"),
    "semicolons and decimal commas": TEXT.replace(",", ";").replace(".5", ",5").encode(),
    "tabs": TEXT.replace(",", "\t").encode("utf-16"),
    "bars": TEXT.replace(",", "|").encode(),
    "sep=": b"sep=;\r\n" + TEXT.replace(",", ";").replace("\n", "\r\n").encode(),
    "carriage returns": TEXT.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("name", CODINGS)
def test_a_table_is_read_whatever_its_coding(name, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(CODINGS[name])
    manifest = read_csv(path)
    assert manifest.exams["age"].to_list() == [61.5, 70.0]
    assert manifest.images["side"].to_list() == ["L", "R"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"\xff\xfe", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (TEXT.partition("\n")[0].encode() + b"\n", "no rows"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "no table of text"),
        (b"\xff\xfea", "UTF-8"),
    ],
)
def test_what_is_no_table_is_one_line(data, said, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    with pytest.raises(ManifestError, match=said) as told:
        read_csv(path)
    assert "\n" not in str(told.value)
    with pytest.raises(FourviewError):
        read_findings(path)
    with pytest.raises(EvaluationError):
        read_predictions(path)


PATHS = [
    "cohort_1/p/a.dcm",
    "./cohort_1/p/a.dcm",
    "images/cohort_1/p/a.dcm",
    "./images/cohort_1/p/a.dcm",
    "/mnt/NAS2/mammo/anon_dicom/cohort_1/p/a.dcm",
    "/data/embed/images/cohort_1/p/a.dcm",
    "D:\\embed\\images\\cohort_1\\p\\a.dcm",
    "images\\cohort_1\\p\\a.dcm",
    ".\\images\\cohort_1\\p\\a.dcm",
    "\\\\server\\share\\images\\cohort_1\\p\\a.dcm",
    "s3://embed-dataset-open/images/cohort_1/p/a.dcm",
    "file:///old/images/cohort_1/p/a.dcm",
    "images/cohort_1/p/a.png",
    "images/cohort_1/p/a",
    " ./images/cohort_1/p/a.dcm ",
]


@pytest.mark.parametrize("told", PATHS)
def test_paths_of_other_machines_are_found(told, tmp_path):
    file = tmp_path / "images" / "cohort_1" / "p" / "a.dcm"
    file.parent.mkdir(parents=True)
    file.touch()
    (path,) = find_paths(tmp_path, [told], below=("", "images/"))
    assert (tmp_path / path) == file


def test_absolute_paths_that_are_there_stay_and_strangers_stay_told(tmp_path):
    file = tmp_path / "elsewhere" / "a.dcm"
    file.parent.mkdir()
    file.touch()
    root = tmp_path / "root"
    root.mkdir()
    assert find_paths(root, [str(file), "gone/b.dcm", None]) == [str(file), "gone/b.dcm", None]


@pytest.mark.parametrize(
    "prefix", ["./images/", "images/", "/mnt/x/anon_dicom/", "E:\\x\\images\\"]
)
def test_embed_as_it_lies_on_other_disks(prefix, case, tmp_path):
    root = tmp_path / "embed"
    shutil.copytree(case("embed-relative-paths"), root)
    path = root / "tables" / "EMBED_OpenData_metadata.csv"
    text = path.read_text()
    text = text.replace("./images/", prefix)
    if "\\" in prefix:
        text = text.replace("/", "\\")
    path.write_text(text)
    manifest = read_embed(root)
    assert missing(manifest) == []
    assert manifest.images["image_id"].to_list() == [f"2.25.{n}" for n in range(1, 5)]


def test_mirai_with_image_names_that_repeat_in_every_exam(tmp_path):
    rows = ["patient_id,exam_id,laterality,view,file_path,image_id"]
    for patient in (1, 2):
        for exam in (0, 1):
            folder = tmp_path / f"{patient}" / f"{exam}"
            folder.mkdir(parents=True)
            for side in "LR":
                (folder / f"{side}_CC.png").touch()
                name = f"{patient}/{exam}/{side}_CC.png"
                rows.append(f"{patient},{exam},{side},CC,{name},{side}_CC")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    manifest = read_csv(tmp_path / "t.csv")
    assert manifest.images["image_id"].n_unique() == 8
    assert manifest.exams.height == 4
    assert missing(manifest) == []


def test_exam_ids_that_are_unique_stay_as_they_are(tmp_path):
    (tmp_path / "t.csv").write_text(TEXT)
    assert read_csv(tmp_path / "t.csv").exams["exam_id"].to_list() == ["7", "8"]


LAYOUTS = {
    "PNG in place": "train_images/10006/{id}.png",
    "JPEG in place": "train_images/10006/{id}.jpg",
    "no ending": "train_images/10006/{id}",
    ".dicom": "train_images/10006/{id}.dicom",
    "flat, by patient and image": "10006_{id}.png",
    "flat in a folder": "train_images_cv2_512/10006_{id}.png",
    "another folder": "train_images_processed/10006/{id}.png",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_rsna_as_people_keep_it(name, case, tmp_path):
    shutil.copy(case("rsna-as-png") / "train.csv", tmp_path)
    for number in range(4):
        file = tmp_path / LAYOUTS[name].format(id=900000 + number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert missing(read_rsna(tmp_path)) == []


@pytest.mark.parametrize("by_name", [False, True])
def test_rsna_without_labels(by_name, case, tmp_path):
    table = pl.read_csv(case("rsna-as-png") / "train.csv", infer_schema=False)
    labels = ["cancer", "biopsy", "invasive", "BIRADS", "density", "difficult_negative_case"]
    table.drop(labels).with_columns(prediction_id=pl.lit("10006_L")).write_csv(
        tmp_path / "test.csv"
    )
    shutil.copytree(case("rsna-as-png") / "train_images", tmp_path / "test_images")
    if by_name:
        shutil.copy(case("rsna-as-png") / "train.csv", tmp_path)
    manifest = read_rsna(tmp_path / "test.csv" if by_name else tmp_path)
    assert manifest.breasts["cancer"].null_count() == 2
    assert missing(manifest) == []
    assert manifest.images["path"][0] == "test_images/10006/900000.png"


ROW = {"image_id": "a", "patient_id": "1", "exam_id": "1", "side": "L", "view": "CC", "path": "a"}


def saved(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def pictures(mg):
    deep = (mg.picture() * 16).astype(np.uint16)
    shallow = (mg.picture() >> 4).astype(np.uint8)
    grey = Picture.fromarray(shallow)
    clear = np.where(shallow > 5, 255, 0).astype(np.uint8)
    cut = np.dstack([shallow, shallow, shallow, clear])
    palette = grey.convert("P")
    return {
        "8 bits": saved(grey, "PNG"),
        "16 bits": saved(Picture.fromarray(deep), "PNG"),
        "RGB": saved(grey.convert("RGB"), "PNG"),
        "RGBA": saved(grey.convert("RGBA"), "PNG"),
        "grey and alpha": saved(grey.convert("LA"), "PNG"),
        "alpha cuts the air": saved(Picture.fromarray(cut), "PNG"),
        "palette": saved(palette, "PNG"),
        "TIFF": saved(grey, "TIFF"),
        "TIFF of 16 bits": saved(Picture.fromarray(deep), "TIFF"),
        "TIFF, LZW, RGB": saved(grey.convert("RGB"), "TIFF", compression="tiff_lzw"),
        "TIFF, RGBA": saved(grey.convert("RGBA"), "TIFF"),
        "TIFF, palette": saved(palette, "TIFF"),
        "TIFF of floats": saved(Picture.fromarray((deep / 65535).astype(np.float32)), "TIFF"),
        "JPEG": saved(grey, "JPEG", quality=98),
        "JPEG in colour": saved(grey.convert("RGB"), "JPEG", quality=95),
        "JPEG and zeros": saved(grey, "JPEG", quality=98) + bytes(4000),
        "BMP": saved(grey, "BMP"),
        "JPEG 2000": saved(grey, "JPEG2000"),
        "inverted": saved(Picture.fromarray(255 - shallow), "PNG"),
    }


NAMES = [
    *(
        "8 bits",
        "16 bits",
        "RGB",
        "RGBA",
        "grey and alpha",
        "alpha cuts the air",
        "palette",
        "TIFF",
    ),
    *("TIFF of 16 bits", "TIFF, LZW, RGB", "TIFF, RGBA", "TIFF, palette", "TIFF of floats", "JPEG"),
    *("JPEG in colour", "JPEG and zeros", "BMP", "JPEG 2000", "inverted"),
]


@pytest.mark.parametrize("ending", ["", ".png"])  # what it is called does not matter
@pytest.mark.parametrize("name", NAMES)
def test_a_grey_picture_of_any_kind_is_read_alike(name, ending, mg, tmp_path):
    kinds = pictures(mg)
    assert list(kinds) == NAMES
    path, plain = tmp_path / f"a{ending}", tmp_path / "plain.png"
    path.write_bytes(kinds[name])
    plain.write_bytes(kinds["16 bits"])
    row = {**ROW, "voi": None}
    odd, right = (process(read_listed_image(p, row, SPEC), SPEC) for p in (path, plain))
    both = odd.mask & right.mask
    assert both.sum() > 0.97 * (odd.mask | right.mask).sum()
    if name != "alpha cuts the air":  # its window begins at tissue, not at the air on the skin
        assert np.abs(odd.pixels - right.pixels)[both].mean() < 0.02


@pytest.mark.parametrize("told", [1, 3, 6, 8])
def test_the_orientation_of_a_camera_is_followed(told, mg, tmp_path):
    shallow = (mg.picture(view="MLO") >> 4).astype(np.uint8)
    # what must be done to the stored picture to see it upright, undone: EXIF 2.3, tag 274
    stored = {1: shallow, 3: shallow[::-1, ::-1], 6: np.rot90(shallow), 8: np.rot90(shallow, -1)}
    exif = Picture.Exif()
    exif[274] = told
    data = saved(
        Picture.fromarray(np.ascontiguousarray(stored[told])), "JPEG", exif=exif, quality=98
    )
    (tmp_path / "a.jpg").write_bytes(data)
    (tmp_path / "b.png").write_bytes(saved(Picture.fromarray(shallow), "PNG"))
    row = {**ROW, "view": "MLO"}
    odd, plain = (process(read_raster(tmp_path / n, row), SPEC) for n in ("a.jpg", "b.png"))
    assert (np.abs(odd.pixels - plain.pixels) > 0.05)[odd.mask | plain.mask].mean() < 0.03


def test_a_picture_of_another_size_than_told_is_noted(mg, tmp_path):
    (tmp_path / "a.png").write_bytes(saved(Picture.fromarray(mg.picture() * 16), "PNG"))
    image = read_raster(tmp_path / "a.png", {**ROW, "rows": 3518, "cols": 2800})
    assert any("3518 x 2800" in note for note in image.notes)


SCORES = ["10/a1.png", "a1.png", "a1", "a1.dcm", ".\\10\\a1.png", "/old/10/a1.jpg"]


@pytest.mark.parametrize("named", SCORES)
@pytest.mark.parametrize("column", ["image_id", "file", "path", "filename"])
def test_scores_keyed_by_file_name(named, column, tmp_path):
    (tmp_path / "s.csv").write_text(f"{column};score\n{named};0,25\nzzz;0,5\n", encoding="utf-16")
    table, _ = read_predictions(tmp_path / "s.csv")
    (tmp_path / "t.csv").write_text(
        "patient_id,exam_id,image_id,side,view,path\n1,1,uid-1,L,CC,10/a1.png\n1,1,uid-2,R,CC,10/b.png\n"
    )
    renamed, notes = with_image_ids(table, read_csv(tmp_path / "t.csv"))
    assert renamed["image_id"].to_list() == ["uid-1", "zzz"]
    assert renamed["score"].to_list() == [0.25, 0.5]
    assert "1 images were named by their files" in notes[0]


def test_a_name_that_fits_two_images_fits_none(tmp_path):
    (tmp_path / "t.csv").write_text(
        "patient_id,exam_id,image_id,side,view,path\n1,1,u1,L,CC,1/a.png\n2,2,u2,L,CC,2/a.png\n"
    )
    table = read_text_table(tmp_path / "t.csv").select(image_id=pl.lit("a.png"), score=pl.lit(0.5))
    named, notes = with_image_ids(table.head(1), read_csv(tmp_path / "t.csv"))
    assert named["image_id"].to_list() == ["a.png"]
    assert notes == ()
