"""Connections of urllib3's that tell of themselves, so that somebody else may shut them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def let_be_shut(manager: Any, holds: Callable[[Any], object]) -> None:
    """Have a pool manager's connections told to somebody, each when it stands.

    Args:
        manager: urllib3's, for a proxy of any kind or for none.
        holds: called with the socket.
    """
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {name: _told(pools[name], holds) for name in pools}


def _told(pool: Any, holds: Callable[[Any], object]) -> Any:
    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            holds(self.sock)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})
