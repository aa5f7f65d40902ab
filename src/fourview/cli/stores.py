"""Open a store, or say the very command that makes the one that is needed."""

from pathlib import Path
from shlex import quote

from fourview.errors import StoreError
from fourview.store.store import Store


def open_store(store: Path, spec: str, manifest: Path) -> Store:
    """The store at ``store``, with pixels of ``spec``.

    Raises:
        StoreError: There is none, or it holds other pixels; the message is the command to run.
    """
    command = f"fourview prepare {quote(str(manifest))} --spec {spec} -o"
    if not store.exists():
        raise StoreError(f"{store}: there is no store; run: {command} {quote(str(store))}")
    opened = Store.open(store)
    if opened.spec.name != spec:
        other = store.with_name(f"{store.name}-{spec}")
        raise StoreError(
            f"{store}: holds {opened.spec.name}, need {spec}; run: {command} {quote(str(other))}, "
            f"and give --store {quote(str(other))}"
        )
    return opened
