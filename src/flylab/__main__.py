"""`python -m flylab`, the same as `flylab`."""

import sys

from flylab.cli.main import main

sys.exit(main())
