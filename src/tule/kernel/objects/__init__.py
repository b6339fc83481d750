"""Buckets and objects: contents by checksum in files, everything else about them in the database of records.

A content is synced and renamed into place before the transaction that names it commits, and removed only once no object
names it; so after a crash there are at most files that nobody names, which the next start removes.
"""

from tule.kernel.objects.buckets import Buckets
from tule.kernel.objects.conditions import ANY, ConditionNotMet, Conditions
from tule.kernel.objects.contents import Checksums, Content, Sums
from tule.kernel.objects.listing import Listing
from tule.kernel.objects.objects import Objects
from tule.kernel.objects.values import Object, Piece

__all__ = ["ANY", "Buckets", "Checksums", "ConditionNotMet", "Conditions", "Content", "Listing", "Object", "Objects",
           "Piece", "Sums"]  # fmt: skip
