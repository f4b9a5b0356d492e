"""Swaps on a real Engine, whose process is killed before or after one of its requests."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import proof, recovery
from ansible_collections.proven.go_service.plugins.module_utils.engine import client
from crashes import forked
from deploys import swap
from plays import free_port

# How many requests that change something were made, and how many others since: the latter differ with how often it has to be looked.
Place = tuple[int, int]


@contextlib.contextmanager
def followed(see: Callable[[str, Place, bool], None]) -> Iterator[None]:
    """Have something called with each request, its place, and whether it was answered already."""
    request = client.docker.APIClient.request
    place = (0, 0)

    def follow(self: Any, method: str, url: str, *rest: Any, **how: Any) -> Any:
        nonlocal place
        asked = f"{method.upper()} {re.sub(r'^[^/]*//[^/]*(/v[0-9.]+)?', '', url)}"
        changes = not asked.startswith("GET ") and "/exec" not in asked
        place = (place[0] + 1, 0) if changes else (place[0], place[1] + 1)
        see(asked, place, False)
        answer = request(self, method, url, *rest, **how)
        see(asked, place, True)
        return answer

    with patch.object(client.docker.APIClient, "request", follow):
        yield


class KilledSwaps:
    """Swaps of a service by one whose container runs a command. asked: the requests of one that nothing disturbs, by their places."""

    def __init__(self, engine: client.Engine, image: str, service: Callable[..., Any], command: str, strategy: str) -> None:
        """service: what makes settings of a small service."""
        how = {"publish": f"127.0.0.1:{free_port()}", "deploy_strategy": strategy, "restart_policy": "always", "start_timeout": 2}
        self._engine, self._image = engine, image
        self._good, self._next = service(**how), service(command, **how)
        self.asked: dict[Place, str] = {}
        swap(client.Engine(), self._good, image)
        with followed(lambda asked, place, _answered: self.asked.update({place: asked})):
            self._swap()

    def _swap(self) -> None:
        with contextlib.suppress(Failure):
            swap(client.Engine(), self._next, self._image)

    def _killed(self, wanted: Place, after: bool) -> list[str]:
        def end(_asked: str, place: Place, answered: bool) -> None:
            if (place, answered) == (wanted, after):
                os.kill(os.getpid(), signal.SIGKILL)

        with followed(end):
            status = forked(self._swap)
        # Of a container that is ready sooner than before it is asked less often.
        return [] if os.WIFSIGNALED(status) or wanted[1] else [f"not killed: {status}"]

    def _silent(self) -> str:
        """Return why the service does not answer, within the seconds that one may need that was started a moment ago."""
        deadline = time.monotonic() + 5
        while (why := proof.answers(self._good, "127.0.0.1", self._good.publish.port)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return why

    def wrong(self, places: dict[Place, str], *moments: bool) -> list[str]:
        """Kill a swap before or after (moments) its requests at some places; return what the next run does not make good."""
        found = []
        for (place, asked), after in [(one, after) for one in places.items() for after in moments]:
            lines = self._killed(place, after)
            recovery.recover(client.Engine(), self._next)
            record = self._engine.container(self._good.name) or {"State": {"Running": False}}
            own = sorted(one["Names"][0][1:] for one in self._engine.containers(name=self._good.name))
            if own != [self._good.name]:
                lines.append(f"containers: {own}")
            if not record["State"]["Running"] or self._silent():
                lines.append(f"the service does not answer: {record['State']}")
            if recovery.recover(client.Engine(), self._next):
                lines.append("something was left to do")
            found += [f"killed {'after' if after else 'before'} request {place}, {asked}: {line}" for line in lines]
        swap(client.Engine(), self._good, self._image)
        return found
