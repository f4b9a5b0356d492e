"""Filters of the role base_images: thin names for its own functions."""

from __future__ import annotations

from typing import Any

from ..module_utils.common.references import canonical
from ..plugin_utils import base_images


class FilterModule:
    """Ansible's entry to the filters of this role."""

    def filters(self) -> dict[str, Any]:
        """Return filter name -> function."""
        return {
            "base_images_archives": base_images.choose_archives,
            "base_images_canonical": canonical,
            "base_images_elsewhere": base_images.elsewhere,
            "base_images_manifest_names": base_images.manifest_names,
            "base_images_names": base_images.names_for,
            "base_images_resolve": base_images.resolve,
        }
