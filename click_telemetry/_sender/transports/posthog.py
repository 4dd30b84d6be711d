"""The transport of `destinations.PostHog`: events in PostHog's form, by its client's own request.

Only `posthog.request.batch_post` is used; never the client's queue, threads or retries. Sources:
https://posthog.com/docs/api/capture, https://posthog.com/docs/data/anonymous-vs-identified-events,
`nodejs/src/utils/event.ts` of https://github.com/PostHog/posthog (`$ip`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import ACCEPTED, DeliveryResult, MissingExtra
from .adapter import HttpTransport, own_module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..watchdog import Timeout, Watchdog

NO_ADDRESS = "0.0.0.0"
"""In `$ip`: an address of no machine."""


class PostHogTransport(HttpTransport):
    """Posts batches to one PostHog instance.

    Args:
        options: `host`, an origin; `write_key`, the project's API key.
        timeout: bounds how long a request may take.

    Raises:
        MissingExtra: the client is not installed.
        RuntimeError: the client posts in another way than we know.
    """

    def __init__(self, options: Mapping[str, Any], timeout: Watchdog | Timeout) -> None:
        try:
            self._request = own_module("posthog.request")
        except ModuleNotFoundError as error:
            raise MissingExtra("posthog") from error
        super().__init__(options["host"], None, timeout, self._request._session)
        self._host: str = options["host"]
        self._api_key: str = options["write_key"]

    def post(self, batch: list[dict[str, Any]], on_send: Callable[[], object]) -> DeliveryResult:
        """As `Transport.post`.

        Raises:
            Withdrawn: `on_send` did, and nothing was sent.
            RuntimeError: the client has not posted through its session.
        """
        events = [event for event in map(event_of, batch) if event is not None]
        if not events:
            return DeliveryResult(ACCEPTED)
        return self.attempt(
            lambda: self._request.batch_post(
                self._api_key, self._host, gzip=True, timeout=self.timeouts, batch=events
            ),
            on_send,
        )


def event_of(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """A message as PostHog takes it; None for what it has no use for. Pure.

    An anonymous event makes no person's profile, so the installation's one `identify`, which has no
    traits, is left out. A user is never merged with an anonymous ID: no `$anon_distinct_id`.
    """
    user, context = message.get("userId"), message["context"]
    app, library = context["app"], context["library"]
    about = {
        "$lib": library["name"],
        "$lib_version": library.get("version"),
        "$app_name": app["name"],
        "$app_version": app.get("version"),
        # Neither the address of the request nor a place that is derived from it. PostHog puts the
        # request's address in place of any empty value: a null keeps nothing out.
        "$ip": NO_ADDRESS,
        "$geoip_disable": True,
    }
    if message["type"] == "identify":
        if user is None:
            return None
        name, properties = "$identify", {**about, "$set": message["traits"]}
    else:
        name, properties = message["event"], {**message["properties"], **about}
        if user is None:
            properties["$process_person_profile"] = False
    if user is not None:
        properties["anonymous_id"] = message["anonymousId"]
    return {
        "event": name,
        "distinct_id": user or message["anonymousId"],
        "uuid": message["messageId"],
        "timestamp": message["timestamp"],
        "properties": properties,
    }
