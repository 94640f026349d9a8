"""Joining a Ray cluster, or starting one on this machine, and finding its foreman."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

from lego import __version__
from lego.core.errors import SettingsError
from lego.core.settings import quiet_ray
from lego.executor.cluster.worker import Terms

NAMESPACE = "lego"
FOREMAN = f"foreman-{__version__}"  # programs of another version have one of their own
IDLE = 120.0  # seconds without work after which a worker goes, but for the last one of the tools without networks
AT_ONCE = 10_000  # calls that the foreman has open at once: each step of every program is one


def join(address: str) -> None:
    """Connect this program to a cluster, unless it is connected already.

    Raises:
        SettingsError: ray is not installed, the address is one of Ray's client (code ``bad_address``), or nothing
            answers there (``no_cluster``).
    """
    if find_spec("ray") is None:
        hint = "pip install 'lego[ray]', or leave the backend at 'threads'"
        raise SettingsError("the backend 'ray' needs ray", where="backend", hint=hint, code="not_installed")
    if "://" in address:
        hint = 'run lego on a node of the cluster, with ray_address = "auto"'
        message = "pictures are shared through the memory of a node, which Ray's client has none of"
        raise SettingsError(message, where=f"ray_address {address}", hint=hint, code="bad_address")
    quiet_ray()
    import ray

    if ray.is_initialized():
        return
    options: dict[str, Any] = {} if address else {"include_dashboard": False}
    try:
        ray.init(
            address or "local", namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR, **options
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise gone(address) from error


def hire(terms: Terms, budget: int, most: int, idle: float = IDLE) -> Any:
    """Return the cluster's foreman; start it, on the head node, if there is none. Arguments as in `Foreman`."""
    import ray

    from lego.executor.cluster.foreman import Foreman

    made = ray.remote(Foreman).options(
        name=FOREMAN, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, num_cpus=0,
        resources={"node:__internal_head__": 0.001}, max_restarts=-1, max_concurrency=AT_ONCE,
    )  # fmt: skip
    return made.remote(terms, budget, most, idle)


def gone(address: str) -> SettingsError:
    """The error for a cluster that does not answer."""
    where = f"ray_address {address or '(this machine)'}"
    hint = "`ray status` on the head node says how it is; docs/cluster.md"
    return SettingsError("no Ray cluster answers", where=where, hint=hint, code="no_cluster")
