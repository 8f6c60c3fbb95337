"""Print the reference of all schemas: `python -m kaggleprice.cli.schemas > docs/json.md`."""

from __future__ import annotations

import sys

from kaggleprice.cli.schemas.reference import make_reference

if __name__ == "__main__":
    sys.stdout.write(make_reference())
