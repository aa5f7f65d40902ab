"""Small data sets with scores, for the tests of `evaluate` and of its reports."""

import numpy as np
import polars as pl

from fourview.entities import IMAGES_SCHEMA, Manifest, Result
from fourview.manifest.manifest import make_manifest


def scored_set(
    num_patients: int = 60, seed: int = 0, prevalence: float = 0.25
) -> tuple[Manifest, pl.DataFrame]:
    """A screening set: one exam a patient, two breasts, CC and MLO; breasts and regions scored."""
    rng = np.random.default_rng(seed)
    images, breasts, exams, findings, rows = [], [], [], [], []
    for p in range(num_patients):
        patient, exam = f"p{p:03d}", f"e{p:03d}"
        keys = {"patient_id": patient, "exam_id": exam}
        exams.append(keys | {"age": float(rng.integers(38, 80)), "split": "test"})
        shared = rng.normal()
        for side in "RL":
            cancer = int(rng.random() < prevalence)
            density = "ABCD"[rng.integers(4)]
            breasts.append(keys | {"side": side, "cancer": cancer, "density": density})
            logit = 0.7 * shared + rng.normal() + 1.5 * cancer - 1
            score = float(1 / (1 + np.exp(-logit)))
            rows.append(keys | {"unit": "breast", "side": side, "score": score})
            for view in ("CC", "MLO"):
                image = f"{exam}-{side}-{view}"
                images.append(
                    keys
                    | {"image_id": image, "side": side, "view": view}
                    | {"path": f"{image}.dcm", "spacing_mm": 0.1}
                    | {"vendor": ("Asterra", "Borealis")[p % 2]}
                )
                x, y = rng.integers(0, 800, size=2)
                box = {"x0": float(x), "y0": float(y), "x1": x + 100.0, "y1": y + 120.0}
                if cancer:
                    finding = {"finding_id": f"{exam}-{side}", "image_id": image, "side": side}
                    kind = {"kind": ("mass", "calcification")[p % 3 == 0], "malignant": 1}
                    findings.append(keys | finding | kind | box | {"frame": "stored"})
                moved = {
                    k: v + float(rng.integers(-60, 60)) * (k[0] == "x") for k, v in box.items()
                }
                moved["x1"] = moved["x0"] + 100
                mark = keys | {"unit": "region", "image_id": image, "score": score} | moved
                rows.append(mark)
    manifest = make_manifest(
        source="scored_set",
        root=".",
        images=pl.DataFrame(images),
        breasts=pl.DataFrame(breasts),
        exams=pl.DataFrame(exams),
        findings=pl.DataFrame(findings),
        terms="made up",
    )
    table = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.lit("cancer").alias("class")
    )
    return manifest, table


def tied_tables() -> list[tuple[np.ndarray, np.ndarray]]:
    """Scores with few, many and no ties, and which of them are positive."""
    rng = np.random.default_rng(1)
    out = []
    for num_units, decimals in ((400, 12), (400, 1), (400, 0), (31, 1), (2, 12)):
        positive = rng.random(num_units) < 0.3
        positive[:2] = True, False
        out.append((np.round(rng.normal(size=num_units) + positive, decimals), positive))
    return out


def value(result: Result, name: str) -> float | None:
    """Of one metric of a result."""
    return next(m for m in result.metrics if m.name == name).value


def breasts_only(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of breasts."""
    return table.filter(pl.col("unit") == "breast")


def readme_sample() -> tuple[Manifest, pl.DataFrame]:
    """The sample that the meta-repository prints: four exams, both breasts."""
    scores = {
        "L": [0.0091, 0.0012, 0.2325, 0.0909],
        "R": [0.0179, 0.7258, 0.1061, 0.2579],
    }
    labels = {"L": [0, 0, 0, 1], "R": [0, 1, 0, 1]}
    rows = [
        {"patient_id": f"p{i}", "exam_id": f"e{i}", "side": s}
        | {"cancer": labels[s][i], "score": scores[s][i]}
        for i in range(4)
        for s in "LR"
    ]
    table = pl.DataFrame(rows)
    manifest = make_manifest(
        source="sample",
        root=".",
        images=pl.DataFrame(schema=dict(IMAGES_SCHEMA)),
        breasts=table.drop("score"),
        terms="",
    )
    return manifest, table.drop("cancer")
