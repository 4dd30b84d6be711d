"""Segment's client as a library of our own: one function, loaded apart from the application's.

A session and a logger that an application may use itself are not ours to change.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec, module_from_spec
from typing import Any


def segment_request() -> Any:
    """A copy of `segment.analytics.request` with a session of its own, which says nothing.

    It logs keys when it is asked for details, and errors to stderr where nobody set up logging.

    Raises:
        ImportError: the client is missing, or damaged.
        RuntimeError: it has no session any more that we could make our own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # requests has opinions about versions of others
        spec = find_spec("segment.analytics.request")
        if spec is None or spec.loader is None:
            raise ImportError("segment-analytics-python is not there")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    session = getattr(module, "_session", None)
    if not hasattr(session, "mount") or not hasattr(module, "logging"):
        raise RuntimeError("segment-analytics-python has changed its session: pin it below")
    vars(module)["logging"] = _Silence
    return module


class _Silence:
    """In place of `logging`, and of its loggers."""

    @classmethod
    def getLogger(cls, name: str) -> type[_Silence]:
        return cls

    @staticmethod
    def debug(*args: object) -> None:
        """Keys and events stay where they are."""

    error = warning = info = debug
