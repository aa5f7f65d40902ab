import numpy as np
import torch

from fourview.entities import ProcessedImage, View
from fourview.geometry import Geometry
from fourview.predict.findings import propose


def processed(name: str, image_id: str) -> ProcessedImage:
    side, position = name.split("-")
    mask = np.zeros((60, 40), bool)
    mask[:, :20] = True
    geometry = Geometry((60, 40))
    return ProcessedImage(
        image_id=image_id,
        view=View(side=side, position=position),
        pixels=mask.astype(np.float32),
        mask=mask,
        geometry=geometry.mirrored() if side == "R" else geometry,
        spec="s",
        fingerprint="f",
    )


def test_the_most_salient_windows_of_a_breast_come_first_in_the_files_own_pixels():
    maps = torch.zeros(3, 6, 4)
    maps[0, 1, 0] = 0.9  # of the right breast, mirrored in its file
    maps[1, 4, 1] = 0.8
    maps[2, 0, 0] = 1.0  # of the left one
    maps[1, 0, 3] = 1.0  # where no breast is
    images = [processed("R-CC", "cc"), processed("R-MLO", "mlo"), processed("L-CC", "other")]
    windows = propose(images, maps, "R", side_px=10, count=2)
    assert [(f.finding_id, f.regions[0].image_id) for f in windows] == [
        ("R-1", "cc"),
        ("R-2", "mlo"),
    ]
    first, second = (f.regions[0].box for f in windows)
    assert (first.x0, first.y0, first.x1, first.y1) == (30, 10, 40, 20)
    assert (second.x0, second.y0, second.x1, second.y1) == (20, 40, 30, 50)
    assert all(f.source == "proposed" for f in windows)
