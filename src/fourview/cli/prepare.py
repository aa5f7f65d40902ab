"""``fourview prepare``: pixels of a manifest to a store."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Some
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.jobs.executor import find_executor
from fourview.manifest.manifest import read_manifest
from fourview.preprocess.spec import pixel_spec
from fourview.store.prepare import prepare as prepare_store
from fourview.store.store import FAILED

SHOWN = 10  # failures that are printed


def prepare(
    manifest: Path,
    *,
    spec: str,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    workers: Some = 2,
    executor: str = "local",
    retry_failed: bool = False,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Make a store: the pixels of every image of a manifest, as models of one pixel spec see them.

    Stopped at any moment, the same command goes on; a bad file is listed with its reason.

    Args:
        manifest: Folder written by ``fourview index``.
        spec: Name of the pixel spec, as ``fourview list specs`` shows.
        out: Folder of the store.
        workers: Processes.
        executor: Where they run: local, or ray (the cluster in RAY_ADDRESS, else one started here).
        retry_failed: Try files again that were bad in an earlier run and are mended now.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the summary as JSON.
    """
    use_modules(module)
    with progress_bar(quiet=json) as update:
        summary = prepare_store(
            read_manifest(manifest),
            pixel_spec(spec),
            out,
            executor=find_executor(executor, workers),
            retry_failed=retry_failed,
            progress=lambda done, of: update("images", done, of),
        )
    failed = summary.failed
    if json:
        counts = {"stored": summary.num_stored, "new": summary.num_new, "seconds": summary.seconds}
        print(jsonlib.dumps({**counts, "store": str(out), "failed": failed.to_dicts()}))
        return
    say(f"{summary.num_stored} images in {out}, {summary.num_new} of them new")
    for row in failed.head(SHOWN).iter_rows(named=True):
        say(f"failed: {row['path']}: {row['detail']}")
    if len(failed) and not retry_failed:
        say("failed files that were mended since are tried again with --retry-failed")
    if len(failed) > SHOWN:
        say(f"failed: {len(failed) - SHOWN} more; all are in {out / FAILED}")
