"""The buckets of a server as files below ``/gcs``, for one process and all that it starts.

Real files for any language, without root: the kernel asks a small program beside the process (FUSE), which asks the server
with the process's own credential. Nothing of the object store is within the process's reach.

``files.BucketFiles`` is the server's side; the rest is that program, which is why nothing is imported here.
"""
