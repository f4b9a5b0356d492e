"""Finishes or undoes what a killed run left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Any

from ..common.names import failed_name, next_name, set_aside_name
from ..common.settings import RECREATE, Settings
from ..engine.client import Engine
from .judgement import is_ours, leftovers
from .proof import NotProven, prove_service
from .swap import ALWAYS, STOPPED, revive


def recover(engine: Engine, settings: Settings, alone: Collection[str] = ()) -> list[str]:
    """Finish or undo what a killed run left behind; return what was done, as sentences.

    A swap whose new container proves healthy is finished. Any other swap is undone, and the old container runs again; this is also done with the
    strategy "recreate". alone: ids of the images that were put in place with that strategy, whatever the strategy is today.
    """
    name = settings.name
    done = []
    aside = engine.container(set_aside_name(name))
    if aside and is_ours(engine, aside, name):
        current = engine.container(name)
        finished = None
        # Without a candidate, the new container was not checked against the contract yet.
        if current and current["State"]["Running"] and settings.deploy_strategy != RECREATE and current["Image"] not in alone:
            with contextlib.suppress(NotProven):
                prove_service(engine, current["Id"], settings)
                finished = current
        if finished:
            engine.remove(aside["Id"])
            done.append(f"Finished an interrupted swap: the new container {finished['Id'][:12]} is healthy, the old one is removed.")
        else:
            if current:
                engine.remove(current["Id"])
            _give_back_policy(engine, settings, aside)
            # Started first: if a run is killed between the two steps, the name still tells how to go on.
            revive(engine, settings, aside)
            engine.rename(aside["Id"], name)
            done.append(f"Undid an interrupted swap: the old container {aside['Id'][:12]} runs again.")
    remaining = leftovers(engine, name)
    current = engine.container(name)
    # A container that the Engine keeps restarting was stopped first by the swap.
    begun = {failed_name(name), next_name(name)}.intersection(remaining)
    if begun and current and is_ours(engine, current, name) and not (current["State"]["Running"] or current["State"].get("Dead")):
        _give_back_policy(engine, settings, current)
        engine.start(current["Id"])
        done.append(f"Completed an interrupted return to the old container: {current['Id'][:12]} runs again.")
    for leftover in remaining:
        engine.remove(leftover)
        done.append(f"Removed the leftover container {leftover}.")
    return done


def _give_back_policy(engine: Engine, settings: Settings, container: Mapping[str, Any]) -> None:
    """Set a container's restart policy back to "always", which a swap takes away for as long as the container is set aside.

    Where it was made with another one than today's variables have, the rest of the run replaces it anyhow.
    """
    if (settings.restart_policy, container["HostConfig"]["RestartPolicy"]["Name"]) == (ALWAYS, STOPPED):
        engine.set_restart_policy(container["Id"], {"Name": ALWAYS})
