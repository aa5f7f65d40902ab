"""Small things that tests of several folders need: batches, manifests, stores."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import polars as pl
import torch

from fourview.captions.caption import load_template
from fourview.contract import ExamBatch, PatchBatch
from fourview.entities import Manifest
from fourview.manifest.manifest import make_manifest
from fourview.nn.tokenizer import Tokenizer, TokenizerConfig
from fourview.preprocess.spec import pixel_spec
from fourview.store.prepare import prepare
from fourview.store.store import Store

UNKNOWN = math.nan


def exam_batch(
    *exams: str,
    size: tuple[int, int] = (64, 32),
    labels: Sequence[str] = ("cancer",),
    seed: int = 0,
) -> ExamBatch:
    """A batch of random images; each exam is a string of slot numbers, such as "0123" or "02".

    A slot that is named twice has two images. Labels alternate 0 and 1, each label against the one
    before it; a breast without an image has unknown labels.
    """
    generator = torch.Generator().manual_seed(seed)
    slots = [int(s) for exam in exams for s in exam]
    whose = [index for index, exam in enumerate(exams) for _ in exam]
    ranks = [exam[:place].count(s) for exam in exams for place, s in enumerate(exam)]
    targets = torch.full((len(exams), 2), UNKNOWN)
    for index, exam in enumerate(exams):
        for side in {int(s) % 2 for s in exam}:
            targets[index, side] = float((index + side) % 2)
    return ExamBatch(
        pixels=torch.rand(len(slots), 1, *size, generator=generator).clamp(min=0.01),
        exam=torch.tensor(whose),
        slot=torch.tensor(slots),
        rank=torch.tensor(ranks),
        num_exams=len(exams),
        targets={label: (targets + number) % 2 for number, label in enumerate(labels)},
    )


def patch_batch(
    *exams: str, size: tuple[int, int] = (64, 32), label: str = "malignant", seed: int = 0
) -> ExamBatch:
    """What the feed of patches gives: three windows of every image, with maps over a grid of 4 x 2.

    The first two are of a finding of that image, malignant on every second; the third is of none.
    """
    batch = exam_batch(*exams, size=size, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    image = torch.arange(batch.num_images).repeat_interleave(3)
    place = torch.arange(len(image)) % 3
    kind = torch.where(
        place < 2, image % 2, 2 + image % 2
    )  # of malignant, benign, outside, negative
    maps = torch.rand(len(image), 3, 4, 2, generator=generator)
    maps[:, 0] = maps[:, 0] * (maps[:, 0] > 0.5)  # a window touches some of the cells
    patches = PatchBatch(
        image=image,
        box=torch.tensor([4.0, 4.0, 20.0, 20.0]).expand(len(image), 4),
        pixels=torch.rand(len(image), 1, 16, 16, generator=generator),
        maps=maps,
        finding=torch.where(place < 2, image, -1),
        num_findings=batch.num_images,
        targets={"patch_class": kind.float()},
        finding_targets={label: (1 - torch.arange(batch.num_images) % 2).float()},
    )
    return replace(batch, patches=patches)


def box_batch(
    *exams: str,
    size: tuple[int, int] = (64, 32),
    labels: Sequence[str] = ("cancer",),
    seed: int = 0,
) -> ExamBatch:
    """What the feed of boxes gives: two findings on every image, a malignant and a benign one."""
    batch = exam_batch(*exams, size=size, labels=labels, seed=seed)
    image = torch.arange(batch.num_images).repeat_interleave(2)
    second = torch.arange(len(image)) % 2
    box = torch.tensor([[4.0, 6.0, 18.0, 22.0], [12.0, 30.0, 30.0, 60.0]])[second]
    patches = PatchBatch(
        image=image,
        box=box,
        targets={"malignant": 1.0 - second, "calcification": image % 2.0},
    )
    return replace(batch, patches=patches)


def region_batch(
    *exams: str, dim: int, labels: Sequence[str] = ("cancer",), seed: int = 0
) -> ExamBatch:
    """What the feed of regions gives: codes of three to five windows of every image, no pixels."""
    batch = exam_batch(*exams, size=(0, 0), labels=labels, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    counts = 3 + torch.arange(batch.num_images) % 3
    image = torch.repeat_interleave(torch.arange(batch.num_images), counts)
    patches = PatchBatch(
        image=image,
        box=torch.tensor([0.0, 0.0, 32.0, 32.0]).expand(len(image), 4),
        codes=torch.rand(len(image), dim, generator=generator),
    )
    return replace(batch, patches=patches)


def caption_batch(*exams: str, size: tuple[int, int] = (64, 32), seed: int = 0) -> ExamBatch:
    """What the feed of captions gives: two images an exam, the first of them with its caption.

    The two are of one breast where the exam's string has both of its views, else its first two.
    Every exam is another patient's, except that the last is the first one's.
    """
    pairs = []
    for slots in exams:
        partner = [s + str((int(s) + 2) % 4) for s in slots if str((int(s) + 2) % 4) in slots]
        pairs.append("".join(sorted(partner[0])) if partner else slots[:2])
    batch = exam_batch(*pairs, size=size, seed=seed)
    template = load_template()
    whose = batch.exam.tolist()
    anchors = [whose.index(exam) for exam in range(len(exams)) if exam in whose]
    captions = [
        template.prepare({"density": "ABCD"[i % 4], "birads": str((i + seed) % 7), "age": "50"})
        for i in range(len(anchors))
    ]
    text = Tokenizer(TokenizerConfig()).batch([c.caption().sentences for c in captions], anchors)
    patient = torch.arange(len(exams))
    patient[-1] = 0
    return replace(batch, text=text, patient=patient)


def drawn_mammogram(
    side: str, view: str, *, cancer: bool, size: tuple[int, int] = (192, 120), seed: int = 0
) -> np.ndarray:
    """A 16-bit picture of half an ellipse with a bright blob where there is a cancer."""
    rows, cols = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols]
    breast = ((y - rows / 2) / (rows * 0.46)) ** 2 + (x / (cols * 0.8)) ** 2 < 1
    pixels = 12000 + 9000 * rng.random((rows, cols))
    if cancer:
        row, col = rows * (0.35 + 0.3 * rng.random()), cols * (0.2 + 0.3 * rng.random())
        pixels[(y - row) ** 2 + (x - col) ** 2 < (rows * 0.07) ** 2] = 60000
    if view == "MLO":
        pixels[(x + y) < rows * 0.2] = 40000
    picture = np.where(breast, pixels, 0).astype(np.uint16)
    return picture[:, ::-1].copy() if side == "R" else picture


def drawn_manifest(root: Path, *, num_patients: int = 8, seed: int = 0) -> Manifest:
    """Patients with four drawn views each as PNG files; every second left breast has a cancer."""
    images, breasts, exams = [], [], []
    for patient in range(num_patients):
        key = {"patient_id": f"p{patient:02d}", "exam_id": f"e{patient:02d}"}
        exams.append({**key, "density": "ABCD"[patient % 4], "age": 40.0 + patient})
        for s, side in enumerate("RL"):
            cancer = (patient + s) % 2 == 0
            breasts.append({**key, "side": side, "cancer": int(cancer)})
            for view in ("CC", "MLO"):
                name = f"{patient:02d}-{side}-{view}.png"
                picture = drawn_mammogram(side, view, cancer=cancer, seed=seed + 100 * patient + s)
                (root / name).write_bytes(imagecodecs.png_encode(picture))
                images.append({**key, "image_id": name, "side": side, "view": view, "path": name})
    return make_manifest(
        source="drawn",
        root=root,
        images=pl.DataFrame(images),
        breasts=pl.DataFrame(breasts),
        exams=pl.DataFrame(exams),
        terms="made by a test",
    )


def drawn_store(root: Path, *, num_patients: int = 8) -> tuple[Manifest, Store]:
    """A manifest of drawn exams and the store of its pixels at 192 x 96."""
    pictures = root / "pictures"
    pictures.mkdir(parents=True)
    manifest = drawn_manifest(pictures, num_patients=num_patients)
    prepare(manifest, pixel_spec("mvccl-192x96"), root / "store", workers=1)
    return manifest, Store.open(root / "store")
