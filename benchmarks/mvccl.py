"""Training and reading with MVCCL against the plain way to write the same network.

The plain way is the paper read literally: a sample is an ordered pair of views, so both views of
both orders go through the backbone, every image is decoded from its 16-bit PNG whenever it is
needed, and all is computed eagerly in float32. Ours reads the store, runs the backbone once an
image, and for reading compiles and keeps memory, as `predict` does by default.

    python -m benchmarks.mvccl
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import polars as pl
import torch
from torch import Tensor

from fourview.entities import Manifest
from fourview.feeds.augment import AugmentConfig, augment
from fourview.feeds.kinds.exams import ExamFeed
from fourview.feeds.samples import make_samples
from fourview.losses.classification import masked_cross_entropy
from fourview.manifest.manifest import make_manifest, read_manifest, write_manifest
from fourview.models.mvccl import FAMILY
from fourview.models.mvccl.model import Mvccl, MvcclConfig
from fourview.models.mvccl.objective import MvcclObjective, MvcclObjectiveConfig
from fourview.nn.encoder import EncoderConfig
from fourview.predict.engine import Engine
from fourview.preprocess.spec import pixel_spec
from fourview.store.prepare import prepare
from fourview.store.store import Store
from fourview.train.batches import TrainingBatches

PAIRS = 3
TIMED = 3  # exams read in each process
TRAIN_SIZE, READ_SIZE = (384, 192), (1536, 768)
NUM_EXAMS, BATCH = 4, 4  # eight breasts: an epoch of two steps
MOST_DIFFERENT = 0.01  # of a score
EXAM_IMAGES = [(side, view) for side in "RL" for view in ("CC", "MLO")]


def picture(rows: int, cols: int, seed: int) -> np.ndarray:
    """A 16-bit picture of half an ellipse with a smooth texture and noise."""
    make = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, rows // 24, cols // 24, generator=make)
    smooth = torch.nn.functional.interpolate(coarse, (rows, cols), mode="bicubic")[0, 0].numpy()
    y, x = np.mgrid[:rows, :cols]
    breast = ((y - rows / 2) / (rows * 0.46)) ** 2 + (x / (cols * 0.8)) ** 2 < 1
    noise = np.random.default_rng(seed).normal(0, 400, (rows, cols))
    pixels = np.clip(8000 + 40000 * smooth + noise, 1, 65535)
    return np.where(breast, pixels, 0).astype(np.uint16)


def drawn(root: Path, size: tuple[int, int]) -> tuple[Manifest, Store]:
    """Exams as PNG files, their manifest, their store, and its images as PNG files again."""
    root.mkdir(parents=True)
    images, breasts = [], []
    for exam in range(NUM_EXAMS):
        key = {"patient_id": f"p{exam}", "exam_id": f"e{exam}"}
        breasts += [{**key, "side": s, "cancer": int((exam + n) % 2)} for n, s in enumerate("RL")]
        for place, (side, view) in enumerate(EXAM_IMAGES):
            name = f"{exam}-{side}-{view}.png"
            pixels = picture(*size, seed=4 * exam + place)
            pixels = pixels[:, ::-1].copy() if side == "R" else pixels
            (root / name).write_bytes(imagecodecs.png_encode(pixels))
            images.append({**key, "image_id": name, "side": side, "view": view, "path": name})
    manifest = make_manifest(
        source="drawn",
        root=root,
        images=pl.DataFrame(images),
        breasts=pl.DataFrame(breasts),
        exams=pl.DataFrame([{"patient_id": f"p{e}", "exam_id": f"e{e}"} for e in range(NUM_EXAMS)]),
        terms="made by a benchmark",
    )
    write_manifest(manifest, root / "manifest")
    spec = pixel_spec(f"mvccl-{size[0]}x{size[1]}")
    prepare(manifest, spec, root / "store", workers=1)
    store = Store.open(root / "store")
    for row in images:  # what the plain way reads: the same processed pixels, as PNG files
        pixels = store.read(row["image_id"])
        (root / f"processed-{row['image_id']}").write_bytes(imagecodecs.png_encode(pixels))
    return manifest, store


def network() -> Mvccl:
    """The paper's, with random weights, and logits large enough that differences would show."""
    torch.manual_seed(0)
    model = Mvccl(MvcclConfig(encoder=EncoderConfig(weights="none"), dropout=0.0))
    with torch.no_grad():
        model.head[-1].weight *= 20
        model.head[-1].bias.zero_()
    return model


def decoded(root: Path, name: str) -> Tensor:
    """One processed image as the plain way has it, in [0, 1]."""
    pixels = imagecodecs.png_decode((root / f"processed-{name}").read_bytes())
    return torch.from_numpy(pixels.astype(np.float32) / 65535)[None, None]


def plain_pairs(model: Mvccl, main: Tensor, aux: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and similarity losses of ordered pairs, as the equations are printed."""
    u_main, u_aux = model.encoder(main), model.encoder(aux)
    z_global, similarity = model.consistency(u_main.amax(dim=(2, 3)), u_aux.amax(dim=(2, 3)))
    cells_main, cells_aux = (u.flatten(2).transpose(1, 2) for u in (u_main, u_aux))
    z_main, z_aux = model.local(cells_main, cells_aux), model.local(cells_aux, cells_main)
    return model.head(torch.cat([z_global, z_main, z_aux], dim=1)), similarity


def plain_samples() -> Iterator[tuple[str, str, float]]:
    """Every ordered pair of views of every breast, with its label."""
    for exam in range(NUM_EXAMS):
        for number, side in enumerate("RL"):
            cc, mlo = (f"{exam}-{side}-{view}.png" for view in ("CC", "MLO"))
            yield cc, mlo, float((exam + number) % 2)
            yield mlo, cc, float((exam + number) % 2)


def plain_epoch(root: Path, model: Mvccl, config: AugmentConfig, some: Any) -> None:
    """All ordered pairs in steps of as many breasts as ours takes."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-6)
    samples, make = list(plain_samples()), torch.Generator().manual_seed(0)
    for start in range(0, len(samples), 2 * BATCH):
        step = samples[start : start + 2 * BATCH]
        views = [torch.cat([decoded(root, pair[side]) for pair in step]) for side in (0, 1)]
        main, aux = (augment(_as_batch(some, v), config, make).pixels for v in views)
        logits, similarity = plain_pairs(model, main, aux)
        targets = torch.tensor([pair[2] for pair in step])
        loss = masked_cross_entropy(logits, targets) + similarity.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def our_epoch(feed: ExamFeed, model: Mvccl, config: AugmentConfig) -> None:
    """What the training loop does in one epoch."""
    objective = MvcclObjective(model, MvcclObjectiveConfig())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-6)
    make = torch.Generator().manual_seed(0)
    for batch in TrainingBatches(feed, BATCH, seed=0).of_epoch(0):
        terms = objective(augment(batch, config, make))
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()


def _as_batch(some: Any, pixels: Tensor) -> Any:
    """Images of a plain step where ``augment`` wants them; it looks at nothing else."""
    count = torch.zeros(len(pixels), dtype=torch.long)
    return type(some)(pixels=pixels, exam=count, slot=count, rank=count, num_exams=1)


def epoch(root: Path) -> dict[str, Any]:
    """One epoch of training, both ways."""
    manifest, store = drawn(root, TRAIN_SIZE)
    samples = make_samples(manifest, classes={"cancer": ("cancer",)}, unit="breast")
    feed = ExamFeed(samples, store)
    some = feed.collate([feed.read(0)])
    ways = {
        "plain": lambda: plain_epoch(root, network().train(), AugmentConfig(), some),
        "ours": lambda: our_epoch(feed, network().train(), AugmentConfig()),
    }
    seconds = alternating(ways)
    rows, cols = TRAIN_SIZE
    name = f"an epoch of training at {rows} x {cols}, {2 * NUM_EXAMS} breasts"
    return result(name, seconds, floor=2.0)


def reading(root: Path) -> dict[str, Any]:
    """One exam read, each way in fresh processes of its own; logits must agree.

    Keeping memory is a setting of a whole process, so the plain way must not share ours.
    """
    drawn(root, READ_SIZE)
    measured: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
    for _ in range(PAIRS):
        for way, results in measured.items():
            command = [sys.executable, "-m", "benchmarks.mvccl", "--child", way, str(root)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
    logits = {way: np.array(results[0]["logits"]) for way, results in measured.items()}
    apart = float(np.abs(logits["ours"] - logits["plain"]).max()) / 4  # a sigmoid's steepest slope
    rows, cols = READ_SIZE
    name = (
        f"an exam of four views read at {rows} x {cols} (scores differ by {apart:.4f} at most, "
        f"allowed {MOST_DIFFERENT})"
    )
    seconds = {way: [each["seconds"] for each in results] for way, results in measured.items()}
    row = result(name, seconds, floor=3.0)
    return row if apart < MOST_DIFFERENT else row | {"ratio": 0.0}


def child(way: str, root: Path) -> dict[str, Any]:
    """Median seconds of the first exam, after one that warms up, and its logits by name."""
    read = our_reading(root) if way == "ours" else plain_reading(root)
    logits = read()
    seconds = []
    for _ in range(TIMED):
        start = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds), "logits": logits.flatten().tolist()}


def our_reading(root: Path) -> Callable[[], Tensor]:
    """From the store, as ``predict`` reads many exams."""
    manifest, store = read_manifest(root / "manifest"), Store.open(root / "store")
    feed = ExamFeed(make_samples(manifest, classes={}), store)
    engine = Engine(compiled=True)
    model = engine.prepare(network(), FAMILY.heavy)

    def read() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(feed.collate([feed.read(0)])).logits
        return logits[sorted(range(len(logits)), key=lambda n: feed.samples[0].images[n])]

    return read


def plain_reading(root: Path) -> Callable[[], Tensor]:
    """From PNG files, pair by pair."""
    model = network().eval()

    def read() -> Tensor:
        logits_of_all = []
        with torch.inference_mode():
            for main, aux, _ in sorted(list(plain_samples())[:4]):
                logits, _ = plain_pairs(model, decoded(root, main), decoded(root, aux))
                logits_of_all.append(logits[0])
        return torch.stack(logits_of_all)

    return read


def alternating(ways: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds of each way, taken in turns."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(PAIRS):
        for way, call in ways.items():
            start = time.perf_counter()
            call()
            seconds[way].append(time.perf_counter() - start)
    return seconds


def result(name: str, seconds: dict[str, list[float]], *, floor: float) -> dict[str, Any]:
    """Medians and their ratio."""
    ours, plain = (statistics.median(seconds[way]) for way in ("ours", "plain"))
    return {"name": name, "ours": ours, "plain": plain, "ratio": plain / ours, "floor": floor}


def run() -> list[dict[str, Any]]:
    """Both benchmarks."""
    with tempfile.TemporaryDirectory() as folder:
        return [epoch(Path(folder) / "epoch"), reading(Path(folder) / "reading")]


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(child(sys.argv[-2], Path(sys.argv[-1]))))
    else:
        for row in run():
            print(row)
