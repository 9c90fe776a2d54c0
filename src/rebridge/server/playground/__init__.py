"""The playground: a page on which a query's hits stand side by side, as the engine ranks them and as reranked.

The page is plain HTML, CSS and JavaScript in ``static/``. It is made of nothing from elsewhere, and shows what
documents hold as text only.
"""

from rebridge.server.playground.answers import Answer, Pipelines
from rebridge.server.playground.routes import playground_router
from rebridge.server.playground.shelf import Shelf

__all__ = ["Answer", "Pipelines", "Shelf", "playground_router"]
