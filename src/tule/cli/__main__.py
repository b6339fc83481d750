"""``python -m tule.cli`` is the ``tule`` program."""

from tule.cli import main

main()
