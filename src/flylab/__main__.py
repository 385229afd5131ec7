"""`python -m flylab`, the same as `flylab`."""

import sys

from flylab.cli import main

sys.exit(main())
