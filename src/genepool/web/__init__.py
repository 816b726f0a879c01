"""The review room in a browser: decide, look at the evidence afterwards, compare, see how far one is.

Blind, one key per decision, acknowledged only when the verdict is on the disk. On this machine a one-time key
lets one person in; on any other address only invited people may enter. Needs the extra ``web``.
"""

from __future__ import annotations

from genepool.web._auth import Door, invitation, is_loopback
from genepool.web._room import Room, open_room
from genepool.web._serve import Serving, serve

__all__ = ["Door", "Room", "Serving", "invitation", "is_loopback", "open_room", "serve"]
