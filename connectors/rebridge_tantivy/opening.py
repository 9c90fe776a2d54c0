"""Finding or making the folder of an index."""

from __future__ import annotations

from rebridge.errors import ConnectorError
from rebridge_tantivy.index import Index
from rebridge_tantivy.schema import Layout
from rebridge_tantivy.settings import DESCRIPTION, META, Description, IndexSettings, load_description, reconcile


def open_index(settings: IndexSettings, *, create: bool = False) -> Index:
    """Open the index in a folder.

    Args:
        settings: where it lies and, for a new one, how it is made.
        create: make it if the folder is missing or empty. Anything else in the folder is left alone.

    Raises:
        ConnectorError: if there is no index, if it was made otherwise than the settings say, or if it is damaged.
    """
    folder = settings.path
    if (folder / DESCRIPTION).is_file():
        description = reconcile(settings, load_description(folder))
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConnectorError(f"{folder} holds something else than an index of rebridge: choose another path.")
    elif not create:
        raise ConnectorError(f"There is no index at {folder}. Make one with `rebridge index`, or correct `path`.")
    else:
        description = _describe(settings)
    layout = Layout(description)  # refuses what cannot be a field before anything is written
    if not (folder / META).is_file():  # a new folder, or one whose making was interrupted
        if not create:
            raise ConnectorError(f"The index at {folder} was not finished. Make it with `rebridge index`.")
        folder.mkdir(parents=True, exist_ok=True)
        description.save(folder)
    return Index(folder, layout)


def _describe(settings: IndexSettings) -> Description:
    if settings.fields is None:
        raise ConnectorError(
            f"A new index at {settings.path} needs `fields`: name -> text, keyword, integer, float, boolean or date."
        )
    return Description(language=settings.language or "english", fields=settings.fields)
