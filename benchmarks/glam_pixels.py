"""How much of GLAM's super-patches is breast, by pixel spec: the table of docs/language_image.md.

    python -m benchmarks.glam_pixels                          12 exams of the preset plain
    python -m benchmarks.glam_pixels --exams 50 --seed 100    others

A super-patch counts from a tenth of breast on. Vendors A, B, C in turn. ``fourview train`` prints
the same of the images that it is about to train on.
"""

import argparse
from dataclasses import replace

import torch

from fourview.entities import Exam
from fourview.feeds.pixels import ExamPixels
from fourview.models.glam.model import Glam, GlamConfig
from fourview.models.glam.objective import FILLED
from fourview.nn.image_tower import ImageTowerConfig
from fourview.phantom.exam import make_exam
from fourview.preprocess.spec import pixel_spec

EXAMS, ROWS = 12, 384
SPECS = ("glam-518", "glam-518-filled", "glam-756x378", "glam-518-stretched")


def exams(first: int, num: int, rows: int) -> list[Exam]:
    """Phantom exams as they are read from files."""
    made = [
        make_exam(s, "plain", rows=rows, vendor="ABC"[s % 3]) for s in range(first, first + num)
    ]
    return [
        Exam(
            exam_id=each.exam_id,
            patient_id=each.patient_id,
            images=tuple(each.entity(image) for image in each.images),
        )
        for each in made
    ]


def filled(exam: Exam, spec: str, network: Glam) -> torch.Tensor:
    """Which super-patches of each image are breast."""
    pixels = [image.pixels for image in ExamPixels(exam, pixel_spec(spec)).processed]
    return network.tissue(torch.stack([torch.as_tensor(p)[None] for p in pixels])) >= FILLED


def main() -> None:
    """Print a row of the table for each spec."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exams", type=int, default=EXAMS)
    parser.add_argument("--seed", type=int, default=0, help="of the first exam")
    parser.add_argument("--rows", type=int, default=ROWS, help="height of the images")
    asked = parser.parse_args()
    with torch.device("meta"):  # only its grid is asked
        network = Glam(GlamConfig(image=replace(ImageTowerConfig(), weights="none")))
    made = exams(asked.seed, asked.exams, asked.rows)
    for spec in SPECS:
        grids = torch.cat([filled(exam, spec, network) for exam in made])
        places = grids.sum(dim=(1, 2)).double().quantile(0.5)
        columns = grids.any(dim=1).sum(dim=1).double().quantile(0.5)
        share = 100 * grids.double().mean()
        print(f"| `{spec}` | {places:g} | {share:.0f} % | {columns:g} |", flush=True)


if __name__ == "__main__":
    main()
