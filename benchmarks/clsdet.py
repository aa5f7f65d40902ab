"""Regions from the store, their codes, and an epoch over cached codes. Processor seconds.

    python -m benchmarks clsdet

Reading: windows of an image of 3328 x 2560 whose breast takes 3072 x 1500, against decoding its
16-bit PNG and slicing. Coding: VGG-M-128 with random weights, in batches against one by one, both
in float32. The epoch: 3,000 images of 200 regions, read from their files, in steps of 256; it is
held to a limit of 5 s.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import torch

from fourview.feeds.copies import CopyRule, from_levels_of
from fourview.feeds.grid import RegionRule, cut_regions, find_regions, read_regions
from fourview.feeds.kinds.regions import RegionFeed, RegionFeedSettings
from fourview.feeds.samples import Sample
from fourview.models.clsdet.model import Clsdet, ClsdetConfig
from fourview.models.clsdet.objective import ClsdetObjective, ClsdetObjectiveConfig
from fourview.nn.encoder import EncoderConfig
from fourview.nn.region_encoder import RegionEncoderConfig, frozen_region_encoder
from fourview.nn.vgg_m import EIGHT_BIT
from fourview.predict.frozen import encode
from fourview.preprocess.spec import pixel_spec
from fourview.store.said import Said
from fourview.store.shard import Tiling, encode_shard
from fourview.store.store import NATIVE_CANVAS, Description, Place, Store, shard_path
from fourview.train.batches import TrainingBatches

FRAME, BREAST = (3328, 2560), (3072, 1500)
NUM_IMAGES, NUM_REGIONS, SUBSET, CODED = 3000, 200, 20, 16
LIMIT_S = 5.0
VGG = RegionEncoderConfig(network=EncoderConfig(name="vgg_m_128", weights="none"))


def median_s(action: Callable[[], object], repeats: int) -> float:
    """Processor seconds, after one run that warms up."""
    action()
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        spent.append(time.process_time() - start)
    return float(np.median(spent))


def breast() -> np.ndarray:
    """A half ellipse of noisy tissue."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0 : BREAST[0], 0 : BREAST[1]].astype(np.float32)
    depth = 1 - (x / BREAST[1]) ** 2 - ((y - BREAST[0] / 2) / (BREAST[0] / 2)) ** 2
    tissue = 20000 + 30000 * np.sqrt(np.clip(depth, 0, 1)) + 400 * random.normal(size=BREAST)
    return np.where(depth > 0, tissue, 0).clip(0, 65535).astype(np.uint16)


def reading(folder: Path) -> list[dict[str, object]]:
    """All regions and a random twenty, against the PNG."""
    levels = breast()
    spec = pixel_spec("clsdet-native")
    about = Description(
        spec=spec,
        fingerprint=spec.fingerprint,
        images_digest="",
        num_images=1,
        source="",
        terms="",
        complete=True,
    )
    shard = shard_path(folder, 0)
    shard.parent.mkdir(parents=True)
    shard.write_bytes(encode_shard(levels, Tiling.of(NATIVE_CANVAS)))
    store = Store(folder, about, {"image": Place(0, BREAST, 0)})
    frame = np.zeros(FRAME, np.uint16)
    frame[: BREAST[0], : BREAST[1]] = levels
    png = folder / "image.png"
    png.write_bytes(imagecodecs.png_encode(frame))
    boxes = find_regions(levels, 0, RegionRule())
    random = np.random.default_rng(1)

    def from_png(own: np.ndarray) -> np.ndarray:
        return cut_regions(imagecodecs.png_decode(png.read_bytes()), own)

    rows = []
    middle = boxes[len(boxes) // 2]
    near = boxes[np.abs(boxes - middle).sum(axis=1).argsort(kind="stable")[:SUBSET]]
    cases = {
        f"{SUBSET} of {len(boxes)} regions, neighbours": (near, 20, 10),
        f"{SUBSET} of {len(boxes)} regions, anywhere": (boxes, 20, None),
        f"all {len(boxes)} regions": (boxes, 5, None),
    }
    for what, (pool, repeats, floor) in cases.items():
        count = len(boxes) if what.startswith("all") else SUBSET
        chosen = [pool[random.permutation(len(pool))[:count]] for _ in range(repeats + 1)]
        turn = iter(chosen)
        ours = median_s(lambda t=turn: read_regions(store, "image", next(t)), repeats)
        plain = median_s(lambda c=chosen[0]: from_png(c), 3)
        name = f"{what}; plain: the whole PNG"
        rows.append(
            {"name": name, "ours": ours, "plain": plain, "ratio": plain / ours, "floor": floor}
        )
    return rows


def coding() -> dict[str, object]:
    """Codes of windows in batches, against one by one."""
    encoder = frozen_region_encoder(VGG)
    windows = np.random.default_rng(0).integers(0, 65536, (CODED, 224, 224)).astype(np.uint16)
    eager = frozen_region_encoder(VGG).to(memory_format=torch.contiguous_format)
    norm = torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

    def plainly(x: torch.Tensor) -> torch.Tensor:
        net = eager.body
        x = net.pool(norm(net.conv1(x * EIGHT_BIT - net.mean).relu()))
        x = net.pool(norm(net.conv2(x).relu()))
        x = net.conv4(net.conv3(x).relu()).relu()
        x = net.pool(net.conv5(x).relu()).flatten(1)
        return net.fc7(net.fc6(x).relu()).relu()

    def one_by_one() -> None:
        with torch.inference_mode():
            for window in windows:
                plainly(torch.from_numpy(from_levels_of(window[None]))[:, None])

    ours, plain = (
        median_s(lambda: encode(encoder, from_levels_of(windows)), 3),
        median_s(one_by_one, 3),
    )
    return {
        "name": f"codes of {CODED} regions; plain: batch 1, torch's normalisation",
        "ours": ours,
        "plain": plain,
        "ratio": plain / ours,
        "floor": 1.5,
    }


class _MadeUp(RegionFeed):
    """Regions of images that only have codes."""

    def __init__(self, folder: Path) -> None:
        ids = [f"{i}" for i in range(NUM_IMAGES)]
        self.samples = tuple(
            Sample(
                patient_id=i, exam_id=i, images=(i,), slots=(0,), ranks=(0,),
                targets={"cancer": (int(i) % 3 == 0, np.nan), "benign": (int(i) % 3 == 1, np.nan)},
            )
            for i in ids
        )  # fmt: skip
        self.labels = {
            label: {s.images[0]: float(s.targets[label][0]) for s in self.samples}
            for label in ("cancer", "benign")
        }
        self.settings = RegionFeedSettings(copies=CopyRule(copies=0))
        self.training, self._room, self._kept, self._boxes = True, 0, {}, {}
        self.said = Said({}, folder)
        random = np.random.default_rng(0)
        boxes = np.zeros((NUM_REGIONS, 4), np.int32)
        for i in ids:
            codes = random.random((NUM_REGIONS, 128), np.float32).astype(np.float16)
            self.said.write(i, {"boxes": boxes, "codes0": codes})


def epoch(folder: Path) -> dict[str, object]:
    """One epoch of training, reading included."""
    feed = _MadeUp(folder)
    objective = ClsdetObjective(Clsdet(ClsdetConfig()), ClsdetObjectiveConfig())
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-4)

    def run_epoch() -> None:
        for batch in TrainingBatches(feed, 256, seed=0).of_epoch(0):
            optimizer.zero_grad()
            objective(batch).total.backward()
            optimizer.step()

    ours = median_s(run_epoch, 1)
    return {
        "name": "an epoch over 3,000 images of 200 regions; plain: the limit of 5 s",
        "ours": ours,
        "plain": LIMIT_S,
        "ratio": LIMIT_S / ours,
        "floor": 1.0,
    }


def run() -> list[dict[str, object]]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*reading(folder / "store"), coding(), epoch(folder / "codes")]


if __name__ == "__main__":
    for row in run():
        print(row)
