"""The one resource store: Google's messages as JSON under their resource names (https://google.aip.dev 121-136, 160).

No resource is described twice: the body of a record *is* the message, so records need no class per resource.
"""

from tule.kernel.records.filters import Filter
from tule.kernel.records.links import Link, Links
from tule.kernel.records.masks import apply_mask
from tule.kernel.records.points import Point, Points
from tule.kernel.records.store import Entry, Page, Record, Records

__all__ = ["Entry", "Filter", "Link", "Links", "Page", "Point", "Points", "Record", "Records", "apply_mask"]
