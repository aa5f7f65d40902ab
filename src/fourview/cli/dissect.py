"""``fourview dissect``: what a trained model uses, without training."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Some
from fourview.cli.parts import require_images
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.disk import write_table, write_text
from fourview.evaluate.labels import counted
from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.resample import REPLICATES
from fourview.manifest.manifest import read_manifest
from fourview.predict.engine import engine_on
from fourview.store.store import Store
from fourview.study.dissect import METRIC, PROTOCOL, dissect_runs, lines_of
from fourview.study.seen import divided_as


def dissect(
    *run: Path,
    manifest: Path,
    store: Path,
    split: str | None = None,
    protocol: str = PROTOCOL,
    metric: str = METRIC,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    replicates: int = REPLICATES,
    device: str | None = None,
    batch: Some = 16,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Show what a trained model uses: its scores with one thing taken away at a time.

    A model of two views (family mvccl) is read as it is; with another patient's view asking for the
    local features; with attention that looks everywhere alike; with local, global or pooled
    features that are the same for all images (their mean); and with the other view of another
    patient. What makes no difference, the model does not use. Nothing is trained.

    Args:
        run: Run folder or checkpoint; several are seeds of one recipe, whose mean is shown. Without
            one, mvccl-small of the package.
        manifest: Folder written by ``fourview index``.
        store: Folder written by ``fourview prepare``.
        split: Only this part: train, validation, test; of the run where the manifest has none.
        protocol: What is measured, as ``fourview list protocols`` shows.
        metric: One of the protocol's.
        out: Folder for dissection.json and dissection.csv.
        replicates: Of the bootstrap.
        device: Where to compute: cpu, cuda, cuda:1, mps, xpu; without it a GPU where there is one.
        batch: Exams at a time; strangers are sought among them.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the table as JSON.
    """
    use_modules(module)
    find_protocol(protocol)
    runs = run or (Path("mvccl-small"),)
    tables, pixels = read_manifest(manifest), Store.open(store)
    require_images(divided_as(runs[0], tables), pixels, () if split is None else (split,))
    with progress_bar(quiet=json) as update:
        result = dissect_runs(
            runs,
            tables,
            pixels,
            protocol=protocol,
            metric=metric,
            split=split,
            batch_size=batch,
            replicates=replicates,
            engine=engine_on(device),
            progress=update,
        )
    if out is not None:
        text = jsonlib.dumps(result.as_json(), ensure_ascii=False, allow_nan=False)
        write_text(out / "dissection.json", text + "\n")
        write_table(result.as_table(), out / "dissection.csv")
    if json:
        print(jsonlib.dumps(result.as_json(), ensure_ascii=False, allow_nan=False))
        return
    several = "" if len(runs) == 1 else f", mean of {len(runs)} runs"
    part = "" if split is None else f" of the {split} part"
    say(f"{result.recipe}{several}; {result.protocol}")
    say(f"{counted(result.num_units, find_protocol(protocol).unit)}{part}")
    for line in lines_of(result):
        say(line)
    say(f"intervals: {result.interval}")
    for note in result.notes:
        say(f"note: {note}")
    if out is not None:
        say(f"table: {out / 'dissection.csv'}")
