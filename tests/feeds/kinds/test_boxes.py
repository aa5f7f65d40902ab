"""The feed of boxes: regions of findings where their pixels are."""

import math

import imagecodecs
import numpy as np
import polars as pl
import torch

from fourview.feeds.feed import FeedRequest, find_feed
from fourview.manifest.manifest import make_manifest
from fourview.preprocess.spec import pixel_spec
from fourview.store.prepare import prepare
from fourview.store.store import Store

BLOB = (60, 80, 40, 60)  # rows, columns of the stored left image


def test_boxes_lie_on_what_was_planted(tmp_path):
    y, x = np.mgrid[:192, :120]
    breast = ((y - 96) / 88) ** 2 + (x / 96) ** 2 < 1
    picture = np.where(breast, 9000, 0).astype(np.uint16)
    picture[BLOB[0] : BLOB[1], BLOB[2] : BLOB[3]] = 60000
    images = []
    for side, pixels in (("L", picture), ("R", picture[:, ::-1].copy())):
        (tmp_path / f"{side}.png").write_bytes(imagecodecs.png_encode(pixels))
        images.append({"image_id": side, "side": side, "view": "CC", "path": f"{side}.png"})
    key = {"patient_id": "p", "exam_id": "e"}
    rows = [
        ("f1", "L", "calcification", 1, (40.0, 60.0, 60.0, 80.0)),
        ("f2", "R", None, None, (60.0, 60.0, 80.0, 80.0)),
    ]
    manifest = make_manifest(
        source="drawn",
        root=tmp_path,
        images=pl.DataFrame([key | row for row in images]),
        breasts=pl.DataFrame([key | {"side": s, "cancer": int(s == "L")} for s in "RL"]),
        exams=pl.DataFrame([key]),
        findings=pl.DataFrame(
            [
                key
                | {"finding_id": f, "image_id": s, "side": s, "kind": kind, "malignant": m}
                | dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
                | {"frame": "stored"}
                for f, s, kind, m, box in rows
            ]
        ),
        terms="made by a test",
    )
    prepare(manifest, pixel_spec("mvccl-192x96"), tmp_path / "store", workers=1)
    kind = find_feed("boxes")
    feed = kind.make(
        manifest, Store.open(tmp_path / "store"), FeedRequest(classes={"cancer": ("cancer",)})
    )
    batch = feed.collate([feed.read(0)])
    assert batch.patches is not None and len(batch.patches.box) == 2
    for image, box in zip(batch.patches.image, batch.patches.box, strict=True):
        bright = (batch.pixels[image, 0] > 0.6).nonzero()
        (top, left), (bottom, right) = bright.amin(dim=0), bright.amax(dim=0) + 1
        corners = torch.stack([left, top, right, bottom]).float()
        torch.testing.assert_close(box, corners, atol=1.5, rtol=0)  # half a pixel of blur a side
    malignant = dict(
        zip(batch.patches.image.tolist(), batch.patches.targets["malignant"].tolist(), strict=True)
    )
    by_slot = {int(batch.slot[i]): value for i, value in malignant.items()}
    assert by_slot[1] == 1 and math.isnan(by_slot[0])
