"""The report of an exam, as a reader of the page and as its pixels see it."""

import base64
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from exam_examples import IDS, SIZE, exam_prediction, image, view
from fourview.entities import (
    SLOTS,
    Asked,
    BreastPrediction,
    Finding,
    Heatmap,
    ImagePrediction,
    LeftOut,
    Region,
)
from fourview.entities.reasons import Reason
from fourview.errors import ReportError
from fourview.geometry import Box, Geometry
from fourview.report.display import show
from fourview.report.exam_html import ReportOptions, exam_html, write_exam_report
from fourview.report.exam_json import exam_from_json
from fourview.report.hang import hang
from fourview.report.overlay import heat_layer, warp

VOID = {"meta", "img", "input", "br", "link", "rect"}


class Page(HTMLParser):
    """Every element with its attributes, and the text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.open, self.by_figure = [], [], [], {}
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag == "figure":
            self.figure = self.by_figure.setdefault(attributes.get("id"), [])
        if hasattr(self, "figure"):
            self.figure.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def images():
    return [image("R-CC"), image("L-CC")]


def page(prediction=None, pictures=None, **options):
    text = exam_html(
        prediction or exam_prediction(),
        images() if pictures is None else pictures,
        options=ReportOptions(**options),
    )
    return Page(text)


def decoded(uri):
    data = base64.b64decode(uri.split(",", 1)[1])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


# ---------------------------------------------------------------------------------- words


def test_the_page_says_scores_reasons_and_provenance():
    text = page(
        created="2031-02-03", operating_points={"sensitivity-0.90": 0.4, "rule-in": 0.9}
    ).text
    for words in (
        "Research use only. Not a medical device.",
        *("0.873", "0.812", "0.750"),
        "at or above 0.400 90 % sensitivity",
        "below 0.900 rule-in",
        "IM7.dcm spot a spot view",
        *("mvccl:small", "ab" * 32, "mvccl-192x96 0123456789abcdef", "float32", "2031-02-03"),
        *("one note", "Right breast: dense", "window of the file"),
        "2 \u00d7 2 mm",  # 20.5 x 20 pixels of 0.1 mm
    ):
        assert words in text


def test_a_banner_says_what_the_model_was_trained_on_and_names_it():
    told = replace(exam_prediction(), caution="Trained on phantoms only.")
    got = page(told)
    assert "Trained on phantoms only. Model mvccl:small." in got.text
    banners = [a for a in got.all("p") if a.get("class") == "caution"]
    assert len(banners) == 2  # over the page, and over the enlarged views
    assert not [a for a in page().all("p") if a.get("class") == "caution"]


def test_the_header_has_date_age_vendor_and_the_density_that_a_model_gives():
    about = {"study_date": "20310203", "age": "057Y", "manufacturer": "Maker", "model": "M 1"}
    density = Asked(name="density", classes=("A", "B"))
    breasts = tuple(replace(b, scores={"A": 0.3, "B": 0.7}) for b in exam_prediction().breasts)
    told = replace(exam_prediction(), asked=(density,), breasts=breasts)
    text = page(told, [image("R-CC", metadata=about), image("L-CC", metadata=about)]).text
    assert "Date 2031-02-03 Age 57 years Vendor Maker M 1 Density (model) B" in text
    one = (replace(breasts[0], scores={"A": 0.9, "B": 0.1}), breasts[1])
    assert "Density (model) R A, L B" in page(replace(told, breasts=one)).text
    bare = page().text
    assert not [w for w in ("Date", "Age", "Vendor", "Density") if w in bare.split("Exam 1.2.3")[0]]


def test_density_has_a_bar_of_four_classes_for_each_breast():
    density = Asked(name="density", classes=tuple("ABCD"))
    scores = {"A": 0.0625, "B": 0.125, "C": 0.5, "D": 0.3125}
    breasts = tuple(BreastPrediction(side=s, score=None, scores=scores) for s in "RL")
    got = page(replace(exam_prediction(), asked=(density,), breasts=breasts))
    assert got.text.count("Density C A 0.062 B 0.125 C 0.500 D 0.312") == 2
    assert "not scored" not in got.text  # the breasts are; no suspicion was asked
    widths = [
        a["style"] for a in got.all("i") if a.get("class", "").startswith("part-") and "style" in a
    ]
    assert widths == [f"flex-grow: {round(v, 4)}" for v in scores.values()] * 2


def test_how_much_of_a_file_is_shown_and_with_full_every_pixel_of_it():
    picture = image("R-CC", size=(2400, 1600))
    plain, whole = page(pictures=[picture]), page(pictures=[picture], full=True)
    assert "shown at 50 % of the file's pixels" in plain.text
    assert "all of them when enlarged" in whole.text
    button = next(a for a in whole.all("button") if a.get("class") == "layers")
    assert decoded(button["data-full"]).shape == (2400, 1600)
    assert not [a for a in plain.all("button") if "data-full" in a]
    assert "every pixel of the file" in page(pictures=[image("R-CC")], full=True).text


def test_what_has_no_score_is_called_so_and_never_zero():
    text = page().text
    assert "Left breast not scored the model gives none" in text
    assert "L-CC not scored" in text
    assert "0.000" not in text
    gone = replace(exam_prediction(), breasts=(), images=(), left_out=())
    text = page(gone, []).text
    assert "Right breast not scored no image of this breast could be read" in text
    assert "This exam has no image that could be read." in text
    assert "0.000" not in text


def test_a_score_of_zero_is_printed_as_a_score():
    breasts = (BreastPrediction(side="L", score=0.0),)
    assert "Left breast 0.000" in page(replace(exam_prediction(), breasts=breasts)).text


def test_missing_views_are_labelled_empty_frames():
    text = page().text
    assert "no R-MLO in this exam" in text
    assert "no L-MLO in this exam" in text
    assert "no R-CC" not in text
    assert "pixels not given" in page(pictures=[image("R-CC")]).text


HOSTILE = "</script><img src=x onerror=alert(1)>\"'><b>"


def test_hostile_header_strings_stay_text():
    told = exam_prediction()
    hostile_view = replace(view("R-CC"), position=HOSTILE, source=HOSTILE, modifiers=(HOSTILE,))
    finding = Finding(
        finding_id=HOSTILE,
        side="R",
        kind=HOSTILE,
        source=HOSTILE,
        regions=(Region(image_id=HOSTILE, box=Box(1, 1, 9, 9)),),
    )
    heatmap = replace(told.images[0].heatmaps[0], class_name=HOSTILE)
    prediction = replace(
        told,
        patient_id=HOSTILE,
        exam_id=HOSTILE,
        model=HOSTILE,
        model_digest=HOSTILE,
        pixel_spec=HOSTILE,
        terms=HOSTILE,
        precision=HOSTILE,
        notes=(HOSTILE,),
        left_out=(LeftOut(path=HOSTILE, reason=Reason.SPOT, detail=HOSTILE),),
        breasts=(BreastPrediction(side="R", score=0.5, findings=(finding,), notes=(HOSTILE,)),),
        images=(
            ImagePrediction(
                image_id=HOSTILE,
                view=hostile_view,
                score=0.5,
                heatmaps=(heatmap,),
                notes=(HOSTILE,),
            ),
        ),
    )
    picture = replace(
        image("R-CC", image_id=HOSTILE, exam_id=HOSTILE), view=hostile_view, notes=(HOSTILE,)
    )
    options = ReportOptions(
        title=HOSTILE, created=HOSTILE, software=HOSTILE, operating_points={HOSTILE: 0.5}
    )
    text = exam_html(prediction, [picture], options=options)
    assert HOSTILE not in text
    got, plain = Page(text), page()
    assert len(got.all("script")) == len(plain.all("script")) == 1
    assert len(got.all("b")) == len(got.all("figure"))  # the captions
    names = {name for _, attributes in got.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert all(i["src"].startswith("data:") for i in got.all("img"))


def test_the_page_loads_nothing_and_allows_only_its_own_script():
    text = exam_html(exam_prediction(), images())
    links = [(k, v) for _, a in Page(text).elements for k, v in a.items()]
    links = [v for k, v in links if k in ("src", "href", "action", "srcset", "data", "poster")]
    assert links
    assert all(link.startswith("data:image/") for link in links)
    assert "url(" not in text
    assert "@import" not in text
    assert "http://" not in text
    assert "https://" not in text
    policy = next(m for m in Page(text).all("meta") if "http-equiv" in m)["content"]
    assert "default-src 'none'" in policy
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy


# ---------------------------------------------------------------------------------- pictures


def test_views_hang_r_left_l_right_cc_above_mlo():
    wanted = [image(name) for name in reversed(SLOTS)]
    said = tuple(ImagePrediction(image_id=IDS[n], view=view(n), score=0.5) for n in reversed(SLOTS))
    got = page(replace(exam_prediction(), images=said), wanted)
    assert list(got.by_figure) == [f"view-{name}" for name in SLOTS]


@pytest.mark.parametrize("name", SLOTS)
@pytest.mark.parametrize("wall", ["left", "right"])
@pytest.mark.parametrize("dense_is_bright", [True, False])
def test_the_chest_wall_is_at_the_middle_and_dense_tissue_is_bright(name, wall, dense_is_bright):
    picture = image(name, wall=wall)
    if not dense_is_bright:
        picture = replace(picture, pixels=4095 - picture.pixels, bright_is_dense=False)
    shown = show(picture).pixels
    at_wall, at_air = (shown[:, -1], shown[:, 0]) if name[0] == "R" else (shown[:, 0], shown[:, -1])
    assert at_wall[SIZE[0] // 2] > 60  # a value of 1400 of 4095 is 87 of 255
    assert at_air.max() < 5


@pytest.mark.parametrize(
    ("name", "wall"), [(n, w) for n in ("R-CC", "L-CC") for w in ("left", "right")]
)
def test_a_box_is_drawn_over_what_it_was_drawn_around(name, wall):
    picture = image(name, wall=wall, size=(2400, 1600))  # twice the displayed height
    rows, cols = np.nonzero(picture.pixels == 4000)
    box = Box(float(cols.min()), float(rows.min()), cols.max() + 1.0, rows.max() + 1.0)
    finding = Finding(
        finding_id="F",
        side=name[0],
        regions=(Region(image_id=picture.image_id, box=box),),
        score=0.5,
    )
    prediction = replace(
        exam_prediction(),
        breasts=(BreastPrediction(side=name[0], score=0.5, findings=(finding,)),),
        images=(ImagePrediction(image_id=picture.image_id, view=view(name), score=None),),
    )
    figure = page(prediction, [picture]).by_figure[f"view-{name}"]
    rect = next(a for tag, a in figure if tag == "rect")
    base = decoded(next(a for tag, a in figure if tag == "img")["src"])
    x, y, width, height = (float(rect[key]) for key in ("x", "y", "width", "height"))
    assert (width, height) == (1.5, 1.5)  # 3 x 3 pixels at half the size
    bright_row, bright_col = np.unravel_index(np.argmax(base), base.shape)
    assert x - 1 < bright_col + 0.5 < x + width + 1
    assert y - 1 < bright_row + 0.5 < y + height + 1
    svg = next(a for tag, a in figure if tag == "svg")
    assert svg["viewbox"] == f"0 0 {base.shape[1]} {base.shape[0]}" == "0 0 800 1200"


def test_a_heatmap_lies_where_its_cell_is_through_mirror_crop_and_resize():
    processed = Geometry((400, 300)).mirrored().cropped(0, 20, 240, 380).resized(180, 120)
    shown = Geometry((400, 300)).mirrored().resized(200, 150)
    values = np.zeros((18, 12), dtype=np.float32)
    values[7, 2] = 1.0  # stored x 240 to 260, y 160 to 180; shown x 20 to 30, y 80 to 90
    got = warp(Heatmap(image_id="i", class_name="c", values=values, geometry=processed), shown)
    row, col = np.mgrid[0:200, 0:150] + 0.5
    weight = np.nan_to_num(got)
    center = (weight * col).sum() / weight.sum(), (weight * row).sum() / weight.sum()
    # OpenCV interpolates at 1/32 of a cell (10 pixels), so a third of a pixel is its grain.
    assert center == pytest.approx((25, 85), abs=0.35)
    assert np.isnan(got[:, 120:]).all()  # mirrored columns from 240 on were cropped away
    assert np.isnan(got[:10]).all()
    assert np.isnan(got[190:]).all()
    assert np.isfinite(got[11:189, 1:119]).all()


def test_unknown_cells_and_zeros_are_transparent_and_high_values_are_not():
    values = np.array([[0.0, 0.0, 1.0], [np.nan, 0.0, 1.0]], dtype=np.float32)
    heatmap = Heatmap(image_id="i", class_name="c", values=values, geometry=Geometry((20, 30)))
    layer = heat_layer(heatmap, Geometry((20, 30)))
    assert layer[2, 2, 3] == layer[15, 4, 3] == 0
    assert layer[5, 27, 3] == 255


# ---------------------------------------------------------------------------------- files


def test_the_folder_holds_page_json_and_pictures_and_no_identifier(tmp_path):
    paths = write_exam_report(exam_prediction(), images(), tmp_path / "out")
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert files == [
        "out/overlays/L-CC.png",
        "out/overlays/R-CC.png",
        "out/report.html",
        "out/result.json",
    ]
    assert [p.name for p in paths.overlays] == ["R-CC.png", "L-CC.png"]
    document = json.loads(paths.json.read_text(encoding="utf-8"))
    assert exam_from_json(document).breasts == exam_prediction().breasts
    assert document["report"]["created"] is None
    drawn = cv2.imread(str(paths.overlays[0]))
    assert drawn.shape == (*SIZE, 3)
    assert tuple(drawn[50, 10]) == (230, 225, 92)  # the box's left side, in cyan


def test_the_same_prediction_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_exam_report(exam_prediction(), images(), tmp_path / name)
    for file in ("report.html", "result.json", "overlays/R-CC.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_second_images_of_a_slot_and_other_views_are_among_the_others():
    extra = image("R-CC", image_id="9")
    lateral = replace(image("L-CC", image_id="8"), view=replace(view("L-CC"), position="../ML"))
    wall = hang(exam_prediction(), [*images(), lateral, extra])
    assert [p and p.image_id for p in wall.slots] == [IDS["R-CC"], IDS["L-CC"], None, None]
    assert [(p.key, p.image_id) for p in wall.others] == [("R-CC-2", "9"), ("L-ML", "8")]
    assert "R-CC-2 not scored" in page(pictures=[*images(), lateral, extra]).text


@pytest.mark.parametrize("order", [("5", "9"), ("9", "5")])
@pytest.mark.parametrize("given", [("5", "9"), ("9", "5")])
def test_of_two_images_of_a_slot_the_first_of_the_prediction_hangs(order, given):
    said = tuple(ImagePrediction(image_id=i, view=view("R-CC"), score=0.5) for i in order)
    pictures = [image("R-CC", image_id=i) for i in given]
    wall = hang(replace(exam_prediction(), images=said), pictures)
    assert [(p.key, p.image_id) for p in wall.panels] == [("R-CC", order[0]), ("R-CC-2", order[1])]
    assert wall.slots[0].image_id == order[0]
    assert all(p.image.image_id == p.image_id == p.prediction.image_id for p in wall.panels)


def test_a_file_that_is_left_out_has_its_reason_and_its_detail_in_the_page():
    files = tuple(
        LeftOut(path=f"{reason.name}.dcm", reason=reason, detail=f"about {reason.name}")
        for reason in Reason
    )
    text = page(replace(exam_prediction(), left_out=files)).text
    for reason in Reason:
        word = reason.value.replace("_", " ")
        assert f"{reason.name}.dcm {word} about {reason.name}" in text


def test_an_image_twice_or_of_another_exam_is_refused():
    with pytest.raises(ReportError, match="twice"):
        hang(exam_prediction(), [image("R-CC"), image("R-CC")])
    with pytest.raises(ReportError, match="of exam other"):
        hang(exam_prediction(), [image("R-CC", exam_id="other")])


def test_an_image_without_a_breast_is_still_shown():
    blank = replace(image("R-CC"), pixels=np.zeros(SIZE, dtype=np.uint16))
    shown = show(blank)
    assert shown.pixels.shape == SIZE
    assert "displayed as in the file" in shown.notes[-1]


def test_an_image_decoded_smaller_is_placed_in_its_stored_frame():
    shown = show(replace(image("L-CC"), stored_size=(240, 160)))
    assert shown.geometry.box_to_processed(Box(16, 60, 22, 66)) == Box(8, 30, 11, 33)
