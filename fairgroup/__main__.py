"""``python -m fairgroup``."""

import sys

from fairgroup.cli import main

if __name__ == "__main__":
    sys.exit(main())
