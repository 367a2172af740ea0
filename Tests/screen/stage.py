"""What the scenes play with."""

import os
import pathlib
from dataclasses import dataclass

from tmux import Failed


class Skipped(Exception):
    """Why a scene cannot be played here."""


@dataclass
class Stage:
    replay: str
    product: str | None
    folder: pathlib.Path


def expect(condition, message):
    if not condition:
        raise Failed(message)


def need_product(stage):
    if not stage.product:
        raise Skipped("no --product")
    if os.geteuid() != 0:
        raise Skipped("not root")
