"""The pytest plugin of Tule."""
