"""File systems beside Cloud Storage, through fsspec: HDFS, and folders of the machine that were opened to queries."""

from tule.engines.filesystems.adapter import Folders

__all__ = ["Folders"]
