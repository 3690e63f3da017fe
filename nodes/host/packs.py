"""Copies of this pack in one host: the first that is loaded stays in force."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import nodes

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[2]


def is_second(node_id: str) -> bool:
    """Whether another folder's copy has registered `node_id` already; says so once.

    Nodes and editor of two copies would take each other's place, one by one. So the host is told
    of neither the nodes nor the web folder of the second.
    """
    known = nodes.NODE_CLASS_MAPPINGS.get(node_id)
    if known is None:
        return False
    first = Path(str(sys.modules[known.__module__].__file__)).parents[1]
    if first == FOLDER:
        return False
    logger.warning(
        "Tora2 is installed twice, in %s and in %s: the nodes of the former are used; remove one "
        "of the two",
        first,
        FOLDER,
    )
    for name, folder in list(nodes.EXTENSION_WEB_DIRS.items()):
        if Path(folder).parent == FOLDER:
            del nodes.EXTENSION_WEB_DIRS[name]
    return True
