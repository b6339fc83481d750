"""Which host names are Google's, and so answered here and never let out."""

from __future__ import annotations

GOOGLE = ("googleapis.com", "google.internal", "googleusercontent.com", "gcr.io", "pkg.dev")
METADATA = ("metadata.google.internal", "metadata", "169.254.169.254", "fd20:ce::254")
ALSO = ("accounts.google.com", "console.cloud.google.com")


def is_google(host: str) -> bool:
    """Whether requests for this host land here.

    >>> is_google("us-central1-aiplatform.googleapis.com"), is_google("notgoogleapis.com"), is_google("169.254.169.254")
    (True, False, True)
    """
    name = host.lower().rstrip(".")
    return name in METADATA or name in ALSO or any(name == each or name.endswith(f".{each}") for each in GOOGLE)
