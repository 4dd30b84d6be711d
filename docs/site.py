"""A hook of mkdocs: links that leave docs/ lead to the repository.

The pages are read in the repository as well, where `../tests/…` is right.
"""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\]\(\.\./([^)\s]+)\)")


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Replace relative links to files outside docs/ by links to the repository.

    Args:
        markdown: the page.
        config: of mkdocs; `repo_url` is the repository.
    """
    return _OUTSIDE.sub(rf"]({config['repo_url']}/blob/main/\1)", markdown)
