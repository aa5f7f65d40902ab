"""The page of an exam in a real browser: zoom, drag, one to one, views that move together."""

from dataclasses import replace

import pytest

from exam_examples import IDS, exam_prediction, image, view
from fourview.entities import SLOTS, ImagePrediction
from fourview.report.exam_html import exam_html
from fourview.report.exam_parts import ReportOptions

FILE = (2400, 1600)  # twice the rows of the page's picture


def opened(page, *, full, slot="R-MLO"):
    said = tuple(ImagePrediction(image_id=IDS[n], view=view(n), score=0.5) for n in SLOTS)
    told = replace(exam_prediction(), images=said, caution="Trained on phantoms only.")
    pictures = [image(name, size=FILE) for name in SLOTS]
    page.set_content(exam_html(told, pictures, options=ReportOptions(full=full)))
    page.click(f"#view-{slot} .layers")
    page.wait_for_selector(".pane")


def names(page):
    return [element.inner_text().splitlines() for element in page.query_selector_all(".panename")]


def place(page, number):
    """Where a pane's picture lies on the screen: left, top, width, height."""
    box = page.query_selector_all(".pane .layers")[number].bounding_box()
    return tuple(box[key] for key in ("x", "y", "width", "height"))


def test_the_wheel_zooms_about_the_pointer_and_a_drag_moves(page):
    opened(page, full=False)
    x, y, width, height = place(page, 0)
    at = (x + 0.75 * width, y + 0.5 * height)
    page.mouse.move(*at)
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"document.querySelector('.pane .layers').clientWidth > {1.2 * width}")
    x2, y2, width2, height2 = place(page, 0)
    assert (at[0] - x2) / width2 == pytest.approx(0.75, abs=0.01)
    assert (at[1] - y2) / height2 == pytest.approx(0.5, abs=0.01)
    page.mouse.down()
    page.mouse.move(at[0] - 50, at[1] + 30, steps=3)
    page.mouse.up()
    x3, y3, *_ = place(page, 0)
    assert (x3 - x2, y3 - y2) == pytest.approx((-50, 30), abs=1)


def test_one_to_one_is_a_pixel_of_the_file_on_one_of_the_screen(page):
    opened(page, full=True)
    page.click("#one")
    assert place(page, 0)[2:] == pytest.approx((1600, 2400), abs=1)
    assert names(page)[0][-1] == "shown at 100 % of the file's pixels"
    assert page.evaluate("document.querySelector('.pane .base').naturalHeight") == 2400


def test_without_full_pixels_the_page_says_that_it_only_enlarges(page):
    opened(page, full=False)
    page.click("#one")
    assert names(page)[0][-1] == "enlarged: the page holds 50 % of the file's pixels"


@pytest.mark.parametrize("which", ["breast", "other"])
def test_linked_views_show_the_same_depth_at_the_same_scale(page, which):
    opened(page, full=False)
    page.select_option("#beside", which)
    wanted = {"breast": ["R-CC", "R-MLO"], "other": ["R-MLO", "L-MLO"]}[which]
    assert [name[0] for name in names(page)] == wanted
    page.mouse.move(300, 500)
    page.mouse.wheel(0, -500)
    page.wait_for_timeout(100)
    panes = [element.bounding_box() for element in page.query_selector_all(".pane")]
    depths, sizes = [], []
    for number, (pane, name) in enumerate(zip(panes, wanted, strict=True)):
        x, _, width, _ = place(page, number)
        middle = pane["x"] + pane["width"] / 2
        depths.append((x + width - middle if name[0] == "R" else middle - x) / width)
        sizes.append(width)
    assert depths[0] == pytest.approx(depths[1], abs=0.01)
    assert sizes[0] == pytest.approx(sizes[1], abs=1)
    page.uncheck("#linked")
    page.keyboard.press("Escape")


def test_controls_and_banner_are_there_while_zoomed_and_go_back(page):
    opened(page, full=False)
    if not page.is_visible("#tray .controls"):
        page.click("#drawer")
    assert page.is_visible("dialog .caution")
    page.check("#tray #invert")
    assert page.evaluate("document.body.style.getPropertyValue('--invert')") == "1"
    page.keyboard.press("Escape")
    page.wait_for_selector(".side .controls")
    assert page.is_checked(".side #invert")


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_nothing_runs_off_the_side_at_any_width(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, full=False)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
