"""`python -m app` is `fensi`."""

import sys

from app.cli import main

sys.exit(main())
