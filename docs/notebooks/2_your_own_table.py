"""Train and evaluate on a table of one's own. See docs/make_notebooks.py."""

# %% [markdown]
# # Train and evaluate on your own table
# You have DICOM files and a table that says which breast has cancer. This notebook turns the two into a manifest, makes
# pixels, trains a model and measures it. Phantoms stand in for your files; everything else is as with real ones.
#
# Training takes a minute here because the model and the images are tiny. Real recipes are in `fourview list recipes`.

# %%
from pathlib import Path

import polars as pl

import fourview

fourview.write_phantom("table_data", num_exams=16, seed=11, preset="miniature", rows=256)

# %% [markdown]
# A table of your own: one row per image, with the file and what you know. Here it is made from the phantoms' truth.

# %%
truth = pl.read_parquet("table_data/truth/images.parquet")
breasts = pl.read_parquet("table_data/truth/breasts.parquet")
table = truth.join(breasts.select("exam_id", "side", "cancer"), on=["exam_id", "side"]).select(
    "patient_id", "exam_id", "image_id", "side", "view", "path", "cancer"
)
table.head(4)

# %% [markdown]
# The manifest holds images, breasts and exams, checked. Patients are split, never images.

# %%
manifest = fourview.make_manifest(
    source="my_hospital",
    root=Path("table_data").absolute(),
    images=table.drop("cancer"),
    breasts=table.group_by("patient_id", "exam_id", "side").agg(
        pl.col("cancer").max().cast(pl.Int8)
    ),
    terms="my hospital's own data",
)
manifest = fourview.assign_split(manifest, {"train": 0.5, "validation": 0.25, "test": 0.25}, seed=0)
fourview.write_manifest(manifest, "table_manifest")
print(fourview.check_manifest(manifest, files=True))
manifest.exams.group_by("split").len().sort("split")

# %%
summary = fourview.prepare(manifest, "mvccl-192x96", "table_store")
print(summary.num_stored, "images stored,", len(summary.failed), "failed")

# %% [markdown]
# A recipe holds every value of a run; settings change single ones. The same seed gives the same losses.

# %%
settings = ["epochs=2", "batch=4", "model.encoder.widths=[8,8,8,8,8]"]
fourview.train_recipe("mvccl:small", manifest, "table_store", "table_run", settings=settings)
run = fourview.open_run("table_run")
print(run.card.caution)
run.log

# %% [markdown]
# Scores of the test part, measured by a named protocol with intervals. So few exams say nothing: look at the intervals.

# %%
store = fourview.open_store("table_store")
scores = run.reader().predict_store(manifest, store, splits=["test"])
result = fourview.measure(scores, manifest, "screening-breast-v1", replicates=200)
fourview.write_result(result, "table_result")
for metric in result.metrics[:4]:
    print(metric.name, metric.value, metric.low, metric.high)

# %%
result.worst
