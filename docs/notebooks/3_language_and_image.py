"""Language and image: captions from columns, features, zero-shot, search. See make_notebooks.py."""

# %% [markdown]
# # Language and image
# A language-image model puts pictures and sentences into one space: it can be asked in words. This notebook trains a tiny
# one on phantoms, with captions made from a table's columns, then searches images by a sentence. The training is far too
# short to be of use; `docs/language_image.md` has the published recipes.

# %%
import fourview

fourview.write_phantom("words_data", num_exams=8, seed=7, preset="miniature", rows=256)
manifest = fourview.index("words_data", "phantom")
manifest = fourview.assign_split(manifest, {"train": 0.5, "validation": 0.25, "test": 0.25}, seed=0)

# %% [markdown]
# The recipe says which pixels it reads and how captions are made. A caption is made of a table's columns.

# %%
recipe = fourview.find_recipe("clip:phantom")
print(recipe.pixel_spec)
fourview.prepare(manifest, recipe.pixel_spec, "words_store")

from fourview.captions.caption import load_template

facts = {"screening": "true", "view": "CC", "density": "C", "birads": "4"}
print(load_template().prepare(facts).caption(frozenset({"side"})).text)

# %%
settings = ["epochs=2", "batch=4", "model.image.widths=[8,8,8,8,8]"]
fourview.train_recipe(recipe, manifest, "words_store", "words_run", settings=settings)
fourview.open_run("words_run").log

# %% [markdown]
# The trained model encodes images and sentences; the nearest images are the hits of a search.

# %%
from fourview.predict.language import rank_images, sentences_of

model = fourview.load_language_model("words_run")
store = fourview.open_store("words_store")
images = model.encode_images(manifest, store, splits=["test"])
query = model.encode_texts([sentences_of("The tissue is extremely dense.")])[0]
hits = rank_images(images, query, top=4)
hits

# %% [markdown]
# Zero-shot: scores of classes from prompts alone, in the table that `evaluate` measures.

# %%
scores = model.zero_shot(manifest, store, "embed-density", splits=["test"])
scores.select("unit", "exam_id", "side", "class", "score").head(4)
