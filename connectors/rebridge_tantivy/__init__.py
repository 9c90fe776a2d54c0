"""The embedded engine: a tantivy index in a folder, searched and written in this process.

BM25 over several fields, filters, sorting and highlights, with replies in Elasticsearch's shape. It needs no server,
and a small site can stay on it.
"""

from rebridge.errors import MissingExtra

try:
    import tantivy  # noqa: F401 - only to say early and clearly that it is missing
except ModuleNotFoundError as error:
    raise MissingExtra("The tantivy connector", "embedded") from error

from rebridge_tantivy.connector import CONNECTOR, TantivyConnector
from rebridge_tantivy.index import Index
from rebridge_tantivy.request import Request
from rebridge_tantivy.settings import FieldSettings, IndexSettings

__all__ = ["CONNECTOR", "FieldSettings", "Index", "IndexSettings", "Request", "TantivyConnector"]
