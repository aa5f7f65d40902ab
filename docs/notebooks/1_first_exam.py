"""First exam: from DICOM to scores, heatmaps and a report. See docs/make_notebooks.py."""

# %% [markdown]
# # Your first exam
# This notebook reads one exam from DICOM, looks at it, scores it with the model of the package and writes a
# report. It takes a minute and needs no data: it makes a phantom exam first.
#
# **Research use only.** The model was trained on phantoms: its scores say nothing about a person.

# %%
import fourview

fourview.write_phantom("first_exam", num_exams=1, seed=20260102, preset="miniature", rows=512)

# %% [markdown]
# An exam is read from a folder of DICOM files. The last line of a cell shows it, hung as radiologists hang it.

# %%
exam = fourview.read_exam("first_exam/dicom")
exam

# %% [markdown]
# Views are found by name, and `for image in exam` goes through all of them. Pixels are as in the file, at full depth.

# %%
image = exam["L-CC"]
print(image, image.pixels.dtype, image.pixels.min(), image.pixels.max())
for each in exam:
    print(each.view.name, each.metadata["manufacturer"], each.notes[:1])

# %% [markdown]
# What a model sees is made by a pixel spec: windowed, cropped to the breast, chest wall at the left.

# %%
processed = fourview.process(image, "mvccl-512x256")
print(processed.pixels.shape, processed.notes[-1])

# %% [markdown]
# The model gives a score for each breast, a heatmap for each view and findings with their place.

# %%
reader = fourview.load_model()
prediction = reader.predict(exam)
prediction

# %%
for breast in prediction.breasts:
    print(breast.side, breast.score, [(f.score, f.quadrant, f.nipple_mm) for f in breast.findings])
heatmap = prediction.heatmap("L-CC")  # on the file's own pixels
print(heatmap.shape, image.stored_size)

# %%
prediction.overlay("L-CC", rows=400)

# %% [markdown]
# A report is one HTML file with everything in it, and a JSON file with every number.

# %%
print(fourview.write_report(prediction, exam, "first_report"))
