"""Maps of language-image models: where they say, back in the file's pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from exam_examples import processed_whole
from factory import drawn_mammogram
from fourview.checkpoint.card import save_checkpoint
from fourview.entities import (
    BreastPrediction,
    Exam,
    ExamPrediction,
    Finding,
    Image,
    ImagePrediction,
    Region,
    View,
)
from fourview.errors import CheckpointError
from fourview.geometry import Box
from fourview.models.find import find_family
from fourview.predict.language import load_language_model
from fourview.predict.language_maps import (
    AGREES,
    CUT_OUT,
    NAMES,
    LanguageMaps,
    _query,
    slice_map,
)
from fourview.predict.query_place import parse_place
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import pixel_spec

SPEC = pixel_spec("mvccl-192x96")
SIZE = (384, 240)


def language_model(folder, name, **changes):
    family = find_family(name)
    config = replace(family.tiny_config, **changes)
    torch.manual_seed(0)
    save_checkpoint(
        folder, family.build(config), recipe=f"{name}:tiny", family=name, config=config, spec=SPEC
    )
    return load_language_model(folder)


def image(name: str) -> Image:
    side, position = name.split("-")
    pixels = drawn_mammogram(side, position, cancer=True, size=SIZE)
    return Image(
        image_id=name,
        patient_id="p",
        exam_id="e",
        view=View(side=side, position=position),
        pixels=pixels,
        stored_size=pixels.shape,
        bits=16,
        value_range=(0.0, 65535.0),
        spacing_mm=None,
        bright_is_dense=True,
    )


EXAM = Exam(patient_id="p", exam_id="e", images=(image("R-CC"), image("R-MLO"), image("L-CC")))


def prediction(*findings: Finding) -> ExamPrediction:
    return ExamPrediction(
        patient_id="p",
        exam_id="e",
        breasts=(BreastPrediction(side="R", score=0.5, findings=findings),),
        images=tuple(
            ImagePrediction(image_id=i.image_id, view=i.view, score=None) for i in EXAM.images
        ),
        model="some",
        model_digest="",
        pixel_spec="",
        terms="",
        precision="",
    )


def peak_in_stored(heatmap):
    """(x, y) in the file's pixels of the middle of the highest cell."""
    rows, cols = heatmap.values.shape
    row, col = np.unravel_index(heatmap.values.argmax(), (rows, cols))
    height, width = heatmap.geometry.processed_size
    point = np.array([(col + 0.5) * width / cols, (row + 0.5) * height / rows])
    return heatmap.geometry.to_stored(point)


def test_a_sentence_lights_up_where_its_tokens_are_most_alike(tmp_path):
    model = language_model(tmp_path, "mama")
    said = ("Impression: BI-RADS category 5: suspicious", "a mass is seen")
    mapped = LanguageMaps(model, said).add(EXAM, prediction())
    for of_image in mapped.images:
        assert [h.class_name for h in of_image.heatmaps] == list(said)
        whole = next(i for i in EXAM.images if i.image_id == of_image.image_id)
        processed = process(whole, SPEC)
        text = model.tokenizer.batch([said], [0])
        pixels = torch.from_numpy(processed.pixels)[None, None].float()
        with torch.no_grad():
            cosines = model.model.sentence_maps(pixels, text)[0]
        for heatmap, values in zip(of_image.heatmaps, cosines, strict=True):
            assert heatmap.values.min() == 0 and heatmap.values.max() == pytest.approx(1)
            tower = model.model.image_tower
            point = processed.geometry.to_processed(peak_in_stored(heatmap))
            col, row = ((point - tower.first_center) / tower.stride).round().astype(int)
            assert values[row, col] > values.max() - 1e-4  # cells without tissue are all alike


def test_the_patch_of_a_finding_is_looked_up_and_shown_where_it_is(tmp_path):
    model = language_model(tmp_path, "glam", super_patches=(12, 6))
    box = Box(90.0, 200.0, 110.0, 220.0)  # a right breast: the chest wall is at the right
    finding = Finding(
        finding_id="f", side="R", score=0.9, regions=(Region(image_id="R-CC", box=box),)
    )
    mapped = LanguageMaps(model).add(EXAM, prediction(finding))
    maps = {i.image_id: {h.class_name: h for h in i.heatmaps} for i in mapped.images}
    assert maps["L-CC"] == {}  # no MLO of that breast
    cut_out = maps["R-CC"][CUT_OUT]
    assert cut_out.values.sum() == 1
    off = np.abs(peak_in_stored(cut_out) - np.array(box.center))
    rows, cols = cut_out.values.shape
    assert off[0] <= SIZE[1] / cols / 2 + 1 and off[1] <= SIZE[0] / rows / 2 + 1
    answer = maps["R-MLO"][AGREES].values
    assert answer.shape == (12, 6) and answer.max() == pytest.approx(1) and answer.min() >= 0
    assert "where, not how likely" in mapped.notes[-1]


def test_each_view_is_looked_for_in_the_other(tmp_path):
    model = language_model(tmp_path, "glam")
    mapped = LanguageMaps(model).add(EXAM, prediction())
    maps = {i.image_id: {h.class_name: h for h in i.heatmaps} for i in mapped.images}
    (cc, over_mlo), (mlo, over_cc) = NAMES["CC"], NAMES["MLO"]
    assert set(maps["R-CC"]) == {cc, over_cc} and set(maps["R-MLO"]) == {mlo, over_mlo}
    processed = {i.image_id: process(i, SPEC) for i in EXAM.images}
    pixels = [torch.from_numpy(processed[n].pixels)[None, None].float() for n in ("R-CC", "R-MLO")]
    grids = [model.model.image_tower(p) for p in pixels]
    own = model.model.super_patch_grids(*(t.tokens.unflatten(1, t.grid) for t in grids))
    with torch.no_grad():  # the roles exchanged, by hand: queries of MLO, one CC column at a time
        slices = model.model.slices
        row, col = np.argwhere(maps["R-MLO"][mlo].values)[0]
        query = slices.norm(own[1])[:, row, col][:, None]
        values = [
            torch.cosine_similarity(query, slices.from_mlo(query, column), dim=-1).item()
            for column in slices.norm(own[0]).unbind(dim=2)
        ]
    best = maps["R-CC"][over_cc].values.max(axis=0).argmax()
    assert best == int(np.argmax(values))


@pytest.mark.parametrize("slot", ["R-CC", "R-MLO"])
def test_a_place_that_a_person_names_is_looked_from(tmp_path, slot):
    model = language_model(tmp_path, "glam", super_patches=(12, 6))
    at = parse_place(f"{slot.lower()}:100,210")
    mapped = LanguageMaps(model, places=[at]).add(EXAM, prediction())
    maps = {i.image_id: {h.class_name: h for h in i.heatmaps} for i in mapped.images}
    here, there = NAMES[slot.partition("-")[2]]
    other = "R-MLO" if slot == "R-CC" else "R-CC"
    assert set(maps[slot]) == {f"{here}, at {slot}:100,210"}
    assert set(maps[other]) == {f"{there}, at {slot}:100,210"}
    cut_out = maps[slot][f"{here}, at {slot}:100,210"]
    assert cut_out.values.sum() == 1
    off = np.abs(peak_in_stored(cut_out) - np.array([100, 210]))
    assert off[0] <= SIZE[1] / 6 / 2 + 1 and off[1] <= SIZE[0] / 12 / 2 + 1


def test_a_box_has_all_patches_whose_centre_is_in_it(tmp_path):
    model = language_model(tmp_path, "glam", super_patches=(12, 6))
    at = parse_place("R-CC:60,150,140,250")
    mapped = LanguageMaps(model, places=[at]).add(EXAM, prediction())
    (cut_out,) = next(i for i in mapped.images if i.image_id == "R-CC").heatmaps
    height, width = cut_out.geometry.processed_size
    for row, col in np.ndindex(12, 6):
        x, y = cut_out.geometry.to_stored(
            np.array([(col + 0.5) * width / 6, (row + 0.5) * height / 12])
        )
        assert cut_out.values[row, col] == (60 <= x < 140 and 150 <= y < 250)


def test_places_that_are_not_there_are_told_and_cost_nothing_else(tmp_path):
    model = language_model(tmp_path, "glam")
    places = [parse_place(text) for text in ("L-CC:5,5", "R-CC:9000,9000")]
    mapped = LanguageMaps(model, places=places).add(EXAM, prediction())
    assert all(i.heatmaps == () for i in mapped.images)
    told = " ".join(mapped.notes)
    assert "--at L-CC:5,5: the exam has not both views" in told
    assert "--at R-CC:9000,9000: lies outside" in told
    mama = language_model(tmp_path / "mama", "mama")
    with pytest.raises(CheckpointError, match="--at needs a run of glam"):
        LanguageMaps(mama, places=places)


def test_regions_light_up_for_the_sentences_of_mm_mil(tmp_path):
    model = language_model(tmp_path, "mm_mil")
    said = ("benign", "a suspicious mass is seen")
    mapped = LanguageMaps(model, said).add(EXAM, prediction())
    assert all([h.class_name for h in i.heatmaps] == list(said) for i in mapped.images)
    processed = process(EXAM.images[0], SPEC)
    with torch.no_grad():
        tokens = model.model.image_tower(torch.from_numpy(processed.pixels)[None, None].float())
        words = model.model.text_tower(model.tokenizer.batch([said], [0]))
        regions = model.model.image_head(tokens.tokens)[0]
        sentences = model.model.text_head(words.sentences)[0]
        want = torch.cosine_similarity(sentences[:, None], regions[None], dim=-1)
        got = model.model.sentence_maps(
            torch.from_numpy(processed.pixels)[None, None].float(),
            model.tokenizer.batch([said], [0]),
        )
    torch.testing.assert_close(got[0].flatten(1), want)


def test_a_map_over_the_mlo_is_agreement_times_attention():
    rows = torch.tensor([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]])  # three columns, two rows
    heatmap = slice_map(np.array([0.5, 1.0, -0.3]), rows)
    # columns between their extremes: 0.8 / 1.3, 1, 0; the highest product is 0.5
    first = 0.8 / 1.3 / 0.5
    want = np.array([[0.75 * first, 1.0, 0.0], [0.25 * first, 1.0, 0.0]])
    assert heatmap == pytest.approx(np.clip(want, 0, 1))


def test_a_model_without_local_alignment_is_refused_by_name(tmp_path):
    model = language_model(tmp_path, "mama", local=False)
    with pytest.raises(CheckpointError, match=r"mama:tiny aligns nothing locally .* model\.local"):
        LanguageMaps(model)


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((0, 0, 30, 48), (0, 0)),
        ((210, 336, 240, 384), (7, 3)),
        ((-90, -90, -60, -60), (0, 0)),  # beyond the image, which was cropped
        ((900, 900, 960, 960), (7, 3)),
        ((120, 96, 121, 97), (2, 2)),
    ],
)
def test_the_patch_of_a_finding_is_a_patch_of_the_grid(box, place):
    seen = processed_whole("R-CC", SIZE)
    region = Region(image_id="R-CC", box=Box(*map(float, box)))
    finding = Finding(finding_id="f", side="R", score=0.9, regions=(region,))
    assert _query(seen, np.zeros((8, 4, 5), np.float32), prediction(finding)) == place


def test_of_two_findings_the_one_with_a_score_is_looked_up():
    seen = processed_whole("R-CC", SIZE)
    boxes = {None: Box(0.0, 0.0, 30.0, 48.0), 0.4: Box(210.0, 336.0, 240.0, 384.0)}
    findings = [
        Finding(
            finding_id=f"{score}",
            side="R",
            score=score,
            regions=(Region(image_id="R-CC", box=box),),
        )
        for score, box in boxes.items()
    ]
    assert _query(seen, np.zeros((8, 4, 5), np.float32), prediction(*findings)) == (7, 3)


def test_a_map_over_the_other_view_is_1_at_its_best_place():
    agreement = np.array([0.2, 0.6, 0.5], np.float32)
    rows = torch.tensor([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    heatmap = slice_map(agreement, rows)
    assert heatmap.max() == pytest.approx(1) and heatmap[1, 1] == heatmap.max()
    assert (heatmap[:, 0] == 0).all()  # the worst column
