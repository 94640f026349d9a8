"""Which backend the settings ask for."""

from __future__ import annotations

from lego.core.settings import Settings
from lego.executor.backends import Backend, Threads


def open_backend(settings: Settings) -> Backend:
    """Return the backend that the settings ask for; a cluster is joined when its first step comes."""
    if settings.backend == "threads":
        return Threads(settings.workers or None)
    from lego.executor.cluster.hands import Ray
    from lego.executor.cluster.worker import Terms

    disk = settings.cache_disk_mb << 20
    terms = Terms(settings.models_folder, settings.cache_folder if disk else None, disk)
    return Ray(settings.ray_address, terms, settings.cache_memory_mb << 20, settings.workers)
