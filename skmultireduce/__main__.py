"""``python -m skmultireduce``: the command `skmultireduce`; without a verb its demonstration."""

import sys

from ._command.main import main

if __name__ == "__main__":
    sys.exit(main())
