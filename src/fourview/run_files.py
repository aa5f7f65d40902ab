"""What a run's folder is made of: the names of its files, for those who write and who read them.

recipe.json            the recipe with every value
environment.json       versions, device, processes, threads
split.json             patients by part, where the manifest had no split
inputs.json            digests of manifest, store, and the weights that it starts from or reads
start.json             which weights another run gave, and which began anew
log.jsonl              a line per step (loss and its parts, seconds) and per epoch (validation)
epochs.csv             the lines of epochs as a table, where asked for (``--log csv``)
curves.png             loss, validation and learning rate over the steps
report.html            curves, what the recipe changes of its base, the worst errors
checkpoints/last       to go on from
checkpoints/best       model.safetensors (without frozen weights that the config names), model.json,
                       template.json where captions have one
predictions.parquet    scores of the validation and test parts by the best checkpoint
operating_points.json  thresholds chosen on the validation part
test/                  the test part by the task's protocol: result.json, result.html
starts_from            the run that it started from, where it was trained for this one
ensemble.json          in place of a run: the checkpoints beside it are one model
context                the run of its context network, or that run's best checkpoint
"""

from pathlib import Path

RECIPE = "recipe.json"
ENVIRONMENT = "environment.json"
SPLIT = "split.json"
INPUTS = "inputs.json"
BEGUN = "start.json"
LOG = "log.jsonl"
EPOCHS = "epochs.csv"
CURVES = "curves.png"
REPORT = "report.html"
LAST = Path("checkpoints") / "last"
BEST = Path("checkpoints") / "best"
WEIGHTS = "model.safetensors"  # of a checkpoint
DESCRIPTION = "model.json"
ENSEMBLE = "ensemble.json"  # beside the folders of several checkpoints that are one model
TEMPLATE = "template.json"  # of a checkpoint whose captions have words of a person's own
PREDICTIONS = "predictions.parquet"
OPERATING_POINTS = "operating_points.json"
MEASURED = "test"
STARTS_FROM = "starts_from"
CONTEXT = "context"
SEARCH = "search.json"  # of a search over learning rates, with the runs trial-00, trial-01, ...
TRIAL = "trial-"
CROSSVAL = "crossval.json"  # of folds, with the runs fold-0, fold-1, ...
_OF_RUNS = (RECIPE, ENVIRONMENT, SPLIT, BEGUN, LOG, "checkpoints", PREDICTIONS, OPERATING_POINTS)
DEFAULT_MODEL = "single_view-located"  # of the package, where no run is named
PACKAGED = Path(__file__).parent / "predict" / "embedded"  # checkpoints that the package ships


def checkpoint_of(run: Path) -> Path:
    """The best checkpoint of a run; a folder that is not a run, such as a checkpoint, is returned.

    The name of a checkpoint that the package ships, such as ``mvccl-small``, stands for that one
    where no folder has this name.
    """
    if (run / BEST / DESCRIPTION).exists():
        return run / BEST
    if not run.exists() and str(run) in packaged_names():
        return PACKAGED / run
    return run


def packaged_names() -> list[str]:
    """The checkpoints that the package ships, sorted."""
    return sorted(folder.name for folder in PACKAGED.iterdir() if is_checkpoint(folder))


def holds_run(folder: Path) -> bool:
    """Whether a run, or what is trained before one, was begun in the folder."""
    ours = {*_OF_RUNS, STARTS_FROM, CONTEXT, SEARCH}
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return bool(names & ours) or any(name.startswith(TRIAL) for name in names)


def is_checkpoint(folder: Path) -> bool:
    """Whether the folder holds a checkpoint itself."""
    return (folder / DESCRIPTION).exists()


def operating_points_of(checkpoint: Path) -> Path | None:
    """The thresholds beside a checkpoint or, where it is a run's best one, in the run's folder."""
    places, full = [checkpoint], checkpoint.absolute()
    if full.parts[-2:] == BEST.parts:
        places.append(full.parent.parent)
    paths = (place / OPERATING_POINTS for place in places)
    return next((path for path in paths if path.exists()), None)
