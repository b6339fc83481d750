"""Adapters to engines, one folder each: the only code that imports that library."""
