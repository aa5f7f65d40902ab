"""A planted pixel is found again through every object: no half pixel, no mirror."""

from itertools import pairwise

import highdicom as hd
import numpy as np
import pytest
from pydicom.pixels.decoders.rle import _rle_decode_frame

from cad_template import resolve
from dicom_output_examples import (
    SIZE,
    all_items,
    exam_in,
    heatmap_of,
    named,
    not_made,
    objects_of,
    parsed,
    prediction_of,
    region,
    write_exam,
)
from fourview.entities import Finding, Heatmap
from fourview.errors import ReportError
from fourview.geometry import Box, Geometry
from fourview.report.dicom.subject import clip_polygon

ROW, COL = 17, 31


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """One pixel of 4095 in R-CC, and a finding that covers that pixel and nothing else."""
    folder = tmp_path_factory.mktemp("planted")
    write_exam(folder, ("R-CC",), planted=(ROW, COL))
    exam = exam_in(folder)
    box = Box(COL, ROW, COL + 1, ROW + 1)
    finding = Finding(finding_id="R-1", side="R", score=0.9, regions=(region(exam, "R-CC", box),))
    return exam, finding


def inside(points, size=SIZE):
    """Pixels whose centre lies in a polygon: a ray to the right crosses its border an odd time."""
    rows, cols = np.mgrid[: size[0], : size[1]] + 0.5
    odd = np.zeros(size, bool)
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 != y1:
            crosses = (y0 > rows) != (y1 > rows)
            odd ^= crosses & (cols < x0 + (rows - y0) / (y1 - y0) * (x1 - x0))
    return odd


def brightest(exam):
    pixels = exam.images[0].pixels
    assert (pixels == pixels.max()).sum() == 1
    return np.unravel_index(pixels.argmax(), pixels.shape)


def points_of(data):
    return list(zip(data[::2], data[1::2], strict=True))


def only_pixel(mask):
    assert mask.sum() == 1
    return tuple(np.argwhere(mask)[0])


@pytest.mark.parametrize("kind", ["cad-sr", "sr1500"])
def test_through_a_report(kind, planted):
    exam, finding = planted
    made = parsed(objects_of(exam, prediction_of(exam, [finding]), kinds=(kind,))[kind])
    (outline,) = named(made, {"cad-sr": "111041", "sr1500": "111030"}[kind])
    assert only_pixel(inside(points_of(outline.GraphicData))) == brightest(exam) == (ROW, COL)


def test_the_centre_of_a_pixel_is_at_its_half(planted):
    exam, finding = planted
    made = parsed(objects_of(exam, prediction_of(exam, [finding]), kinds=("cad-sr",))["cad-sr"])
    (center,) = named(made, "111010")
    assert list(center.GraphicData) == [COL + 0.5, ROW + 0.5]
    image = resolve(made, center.ContentSequence[0].ReferencedContentItemIdentifier)
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == exam.images[0].image_id


def test_through_a_presentation_state(planted):
    exam, finding = planted
    made = parsed(objects_of(exam, prediction_of(exam, [finding]), kinds=("gsps",))["gsps-R-CC"])
    (note,) = made.GraphicAnnotationSequence
    (graphic,) = note.GraphicObjectSequence
    assert graphic.GraphicAnnotationUnits == "PIXEL"
    assert graphic.NumberOfGraphicPoints == 5
    assert only_pixel(inside(points_of(graphic.GraphicData))) == (ROW, COL)
    assert note.ReferencedImageSequence[0].ReferencedSOPInstanceUID == exam.images[0].image_id
    (area,) = made.DisplayedAreaSelectionSequence  # pixels counted from 1, here only
    assert area.DisplayedAreaTopLeftHandCorner == [1, 1]
    assert area.DisplayedAreaBottomRightHandCorner == [SIZE[1], SIZE[0]]


def test_through_a_segmentation(planted):
    """A heatmap with a cell for each processed pixel; the image is mirrored and cropped to it."""
    exam, _ = planted
    geometry = Geometry(SIZE).mirrored().cropped(3, 2, SIZE[1], SIZE[0])
    x, y = geometry.to_processed(np.array([COL + 0.5, ROW + 0.5]))
    values = np.zeros(geometry.processed_size, np.float32)
    values[int(y), int(x)] = 1
    made = parsed(objects_of(exam, with_map(exam, values, geometry), kinds=("seg",))["seg-R-CC"])
    assert tuple(np.argwhere(made.pixel_array == 255)[0]) == (ROW, COL)
    assert (made.pixel_array > 0).sum() == 1


def with_map(exam, values, geometry, class_name="cancer"):
    from dataclasses import replace  # noqa: PLC0415 - here alone

    prediction = prediction_of(exam, [])
    image_id = exam.images[0].image_id
    heatmap = Heatmap(image_id=image_id, class_name=class_name, values=values, geometry=geometry)
    images = [replace(i, heatmaps=(heatmap,)) for i in prediction.images]
    return replace(prediction, images=tuple(images))


def test_a_segmentation_is_the_formula_of_a_slow_loop(planted):
    """Bilinear between centres of cells, edge cells repeated, 0 beyond what the model saw."""
    exam, _ = planted
    heatmap = heatmap_of(exam.images[0])
    made = parsed(objects_of(exam, prediction_of(exam, []), kinds=("seg",))["seg-R-CC"])
    (g_rows, g_cols), (p_rows, p_cols) = heatmap.values.shape, heatmap.geometry.processed_size
    want = np.zeros(SIZE)
    for row in range(SIZE[0]):
        for col in range(SIZE[1]):
            qx, qy = heatmap.geometry.to_processed(np.array([col + 0.5, row + 0.5]))
            if not (0 <= qx < p_cols and 0 <= qy < p_rows):
                continue
            u = min(max(qx * g_cols / p_cols - 0.5, 0), g_cols - 1)
            v = min(max(qy * g_rows / p_rows - 0.5, 0), g_rows - 1)
            x, y = min(int(u), g_cols - 2), min(int(v), g_rows - 2)
            a, b = u - x, v - y
            cells = heatmap.values[y : y + 2, x : x + 2].astype(float)
            want[row, col] = np.array([1 - b, b]) @ cells @ np.array([1 - a, a])
    # half a step of 255 for rounding; OpenCV interpolates at 1/32 of a cell, steps are 1 at most
    tolerance = 0.5 / 255 + 1 / 64
    assert np.abs(made.pixel_array / 255 - want).max() <= tolerance
    assert ((made.pixel_array == 0) == (np.rint(want * 255) == 0)).mean() > 0.99


def test_highdicom_reads_the_segmentation_back(planted):
    exam, _ = planted
    (made,) = objects_of(exam, kinds=("seg",)).values()
    seg = hd.seg.Segmentation.from_dataset(parsed(made))
    assert seg.segmentation_type.value == "FRACTIONAL"
    values = seg.get_pixels_by_source_instance(
        [exam.images[0].image_id], assert_missing_frames_are_empty=True, rescale_fractional=True
    )
    stored = parsed(made).pixel_array
    assert np.abs(values[0, ..., 0] - stored / 255).max() < 0.5 / 255
    description = seg.get_segment_description(1)
    assert description.segment_label == "cancer"
    assert description.tracking_uid is not None


def test_highdicom_reads_the_measurements_back(small_exam):
    prediction = prediction_of(small_exam)
    made = objects_of(small_exam, prediction, kinds=("sr1500",))["sr1500"]
    report = hd.sr.Comprehensive3DSR.from_dataset(parsed(made))
    groups = report.content.get_planar_roi_measurement_groups()
    regions = [r for b in prediction.breasts for f in b.findings for r in f.regions]
    assert len(groups) == len(regions) == 3
    for group, want in zip(groups, regions, strict=True):
        points = group.roi.value
        corners = want.polygon or tuple(map(tuple, want.box.corners()))
        assert np.allclose(points, [*corners, corners[0]], atol=1e-3)  # float32
        (source,) = [i for i in all_items(group.roi) if "ReferencedSOPSequence" in i]
        assert source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == want.image_id


@pytest.mark.parametrize(
    ("class_name", "reason"),
    [("Impression: BI-RADS category 4", "say where, not how likely"), (None, "gives no heatmap")],
)
def test_maps_that_are_no_suspicion_become_no_segmentation(class_name, reason, planted):
    exam, _ = planted
    if class_name is None:
        prediction = prediction_of(exam, heatmaps=False)
    else:
        prediction = with_map(exam, np.zeros((4, 3), np.float32), Geometry(SIZE), class_name)
    assert objects_of(exam, prediction, kinds=("seg",)) == {}
    assert reason in not_made(exam, prediction, kinds=("seg",))["seg-R-CC"]


def test_every_class_of_a_suspicion_becomes_a_segmentation():
    from fourview.contract import TASKS  # noqa: PLC0415 - imports torch
    from fourview.report.dicom.heatmap_seg import SUSPICIONS  # noqa: PLC0415

    asked = [part for task in TASKS.values() for part in task.asked]
    assert {c for part in asked if part.is_suspicion for c in part.classes} <= SUSPICIONS


def test_a_region_is_cut_to_its_image(planted):
    exam, _ = planted
    beyond = Box(-5.0, 50.0, 10.0, 99.0)
    triangle = ((-10.0, 50.0), (10.0, 50.0), (-10.0, 70.0))
    finding = Finding(
        finding_id="R-1", side="R", score=0.5, regions=(region(exam, "R-CC", beyond, triangle),)
    )
    made = parsed(objects_of(exam, prediction_of(exam, [finding]), kinds=("cad-sr",))["cad-sr"])
    points = points_of(named(made, "111041")[0].GraphicData)
    assert points == [(0, 60), (0, 50), (10, 50), (0, 60), (0, 60)] or len(points) >= 4
    assert all(0 <= x <= SIZE[1] and 0 <= y <= SIZE[0] for x, y in points)
    assert (inside(points) == inside([*triangle, triangle[0]])).all()


def test_a_region_beyond_its_image_is_refused(planted):
    exam, _ = planted
    finding = Finding(
        finding_id="R-1", side="R", score=0.5, regions=(region(exam, "R-CC", Box(90, 1, 99, 9)),)
    )
    with pytest.raises(ReportError, match="lies outside of image R-CC of 60 rows and 44 columns"):
        objects_of(exam, prediction_of(exam, [finding]))


def test_polygons_are_clipped_like_masks():
    rng = np.random.default_rng(0)
    for _ in range(20):
        centre, angles = rng.uniform(-5, 50, 2), np.sort(rng.uniform(0, 2 * np.pi, 7))
        star = centre + rng.uniform(5, 40, (7, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        polygon = tuple((float(x), float(y)) for x, y in star)
        clipped = clip_polygon(polygon, SIZE)
        whole = inside([*polygon, polygon[0]])
        kept = inside([*clipped, clipped[0]]) if clipped else np.zeros(SIZE, bool)
        assert (kept == whole).all()
        assert all(0 <= x <= SIZE[1] and 0 <= y <= SIZE[0] for x, y in clipped)


@pytest.mark.parametrize("seed", range(3))
def test_frames_are_coded_without_loss(seed):
    """Noise, flat areas, long runs, odd widths, read by pydicom's own decoder."""
    from fourview.report.dicom.heatmap_seg import _rle  # noqa: PLC0415 - the code itself

    rng = np.random.default_rng(seed)
    rows, cols = (int(n) for n in rng.integers(1, 400, 2))
    pixels = rng.integers(0, 2 + 250 * (seed == 1), (rows, cols)).astype(np.uint8)
    pixels[rows // 3 :, : cols // 2] = 7
    assert np.frombuffer(_rle_decode_frame(_rle(pixels), rows, cols, 1, 8), np.uint8).tolist() == (
        pixels.ravel().tolist()
    )
