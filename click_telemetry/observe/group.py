"""`InstrumentedGroup`: a `click.Group` that instruments itself, for `cls=`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..privacy.settings import DeclarationError
from .declare import instrument

if TYPE_CHECKING:
    from collections.abc import Mapping


class InstrumentedGroup(click.Group):
    """A group whose whole tree is instrumented.

    Args:
        *args: as `click.Group`.
        telemetry: the options of `instrument`, such as `{"app": "acme"}`.
        **kwargs: as `click.Group`.

    Raises:
        DeclarationError: a `TypeError` and a `ValueError`; its message names the fix.
    """

    def __init__(
        self, *args: Any, telemetry: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        options = {} if telemetry is None else telemetry
        if not hasattr(options, "keys") or not all(isinstance(key, str) for key in options):
            raise DeclarationError(
                'telemetry takes the options of instrument() by name, as in telemetry={"app": '
                f'"acme"}}, not {options!r}'
            )
        instrument(self, **options)
