"""Captions drawn with parts hidden, and the texts of zero-shot classification.

Run:     python -m benchmarks captions
Plain:   captions as published code makes them: for each draw the image's rows are looked up in the
         tables, every slot is looked up in the template and the sentences are put together anew.
         Texts: one pass of the text tower for every image and class.
Must:    at least 20,000 captions a second; a text of a prompt set is encoded once.
Time:    of the processor, so that what else runs on the machine does not count.
"""

import time

import numpy as np
import polars as pl
import torch

from fourview.captions.caption import CaptionTemplate, MaskConfig, caption_facts, load_template
from fourview.captions.prompts import make_prompts
from fourview.entities import Manifest
from fourview.manifest.manifest import make_manifest
from fourview.nn.text_tower import TextTower, TextTowerConfig
from fourview.nn.tokenizer import Tokenizer

NUM_IMAGES = 7_666  # of MaMA's test part
DRAWS, PLAIN_DRAWS = 20_000, 100
TEXTS_PLAIN = 256  # of the plain way's texts that are timed; the rest is scaled
ROUNDS = 3
FLOOR_OF_TEXTS = 1.5  # fewer texts than pairs; how many fewer depends on the prompts


def made_up(num_images: int) -> Manifest:
    """Exams of four views with all that a caption of EMBED says."""
    row = pl.Series("row", np.arange(num_images))
    random = np.random.default_rng(0)
    images = pl.DataFrame({"row": row}).select(
        image_id=pl.format("I{}", "row"),
        exam_id=pl.format("E{}", pl.col("row") // 4),
        patient_id=pl.format("P{}", pl.col("row") // 4),
        side=pl.when(pl.col("row") % 2 == 0).then(pl.lit("R")).otherwise(pl.lit("L")),
        view=pl.when(pl.col("row") // 2 % 2 == 0).then(pl.lit("CC")).otherwise(pl.lit("MLO")),
        path=pl.format("{}.dcm", "row"),
        kind=pl.lit("ffdm"),
        procedure=pl.lit("MG Screening Bilateral"),
        screening=pl.lit(True),
    )
    keys = images.select("patient_id", "exam_id", "side").unique(maintain_order=True)
    breasts = keys.with_columns(
        birads=pl.Series(random.integers(0, 7, len(keys)), dtype=pl.Int8),
        density=pl.Series(random.choice(list("ABCD"), len(keys))),
    )
    exams = images.select("patient_id", "exam_id").unique(maintain_order=True)
    exams = exams.with_columns(
        age=pl.Series(random.integers(40, 85, len(exams)).astype(float)),
        race=pl.Series(random.choice(["White", "African American or Black", "Asian"], len(exams))),
        ethnicity=pl.Series(random.choice(["Hispanic or Latino", "Non-Hispanic"], len(exams))),
    )
    return make_manifest(
        source="made up", root="", images=images, breasts=breasts, exams=exams, terms=""
    )


def plain_caption(
    template: CaptionTemplate, manifest: Manifest, image: str, generator: np.random.Generator
) -> str:
    """Three scans, then every sentence from its template."""
    row = manifest.images.filter(pl.col("image_id") == image).row(0, named=True)
    at_exam = pl.col("exam_id") == row["exam_id"]
    breast = manifest.breasts.filter(at_exam & (pl.col("side") == row["side"])).row(0, named=True)
    exam = manifest.exams.filter(at_exam).row(0, named=True)
    known = {k: v for table in (exam, breast, row) for k, v in table.items() if v is not None}
    facts = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in known.items()}
    facts["age"] = str(int(exam["age"]))
    hidden = {name for name in template.may_be_hidden if generator.random() < 0.8}
    return template.prepare(facts).caption(frozenset(hidden)).text


def run() -> list[dict[str, object]]:
    """Best of some rounds, ours and the plain way by turns; seconds of the processor."""
    manifest, template = made_up(NUM_IMAGES), load_template()
    images = manifest.images["image_id"].to_list()
    facts = caption_facts(manifest, template.columns)
    prepared = [template.prepare(facts[image]) for image in images]
    generator, mask = np.random.default_rng(0), MaskConfig()
    ours, plain = [], []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for number in range(DRAWS):
            prepared[number % NUM_IMAGES].caption(mask.draw(generator))
        ours.append(time.process_time() - begin)
        begin = time.process_time()
        for number in range(PLAIN_DRAWS):
            plain_caption(template, manifest, images[number], generator)
        plain.append((time.process_time() - begin) * DRAWS / PLAIN_DRAWS)
    rows: list[dict[str, object]] = [
        _row(f"{DRAWS:,} captions drawn", min(ours), min(plain), floor=5.0),
        _row(f"{DRAWS:,} captions, against the second they may take", min(ours), 1.0, floor=1.0),
    ]
    tower = TextTower(TextTowerConfig(layers=2)).eval()
    for name in ("embed-birads7", "vindr-density"):
        begin = time.process_time()
        prompts = make_prompts(template, name, facts, images)
        made = time.process_time() - begin
        pairs = prompts.which.size
        everything = [prompts.texts[n] for n in prompts.which.reshape(-1)[:TEXTS_PLAIN]]
        seconds = made + _encode(tower, list(prompts.texts))
        whole = made + _encode(tower, everything) * pairs / len(everything)
        what = f"{name}: {len(prompts.texts):,} texts for {NUM_IMAGES:,} images, {pairs:,} pairs"
        rows.append(_row(what, seconds, whole, floor=FLOOR_OF_TEXTS))
    return rows


def _encode(tower: TextTower, texts: list[tuple[str, ...]]) -> float:
    tokenizer = Tokenizer(tower.tokenizer)
    begin = time.process_time()
    with torch.inference_mode():
        for start in range(0, len(texts), 64):
            some = texts[start : start + 64]
            tower(tokenizer.batch(some, [0] * len(some)))
    return time.process_time() - begin


def _row(name: str, ours: float, plain: float, floor: float) -> dict[str, object]:
    return {"name": name, "ours": ours, "plain": plain, "ratio": plain / ours, "floor": floor}
