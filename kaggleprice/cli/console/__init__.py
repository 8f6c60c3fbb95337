"""What a person or a pipeline sees: results on stdout, everything else on stderr.

`streams` knows what the standard streams can take, `documents` is the JSON on stdout. They load
nothing, so that help and completion are instant; the rest needs rich: `printing` has the two
consoles, `reporting` tells of progress, `displays` are the forms in which it is told, `pace` says
how long it will still take.
"""

from __future__ import annotations

from kaggleprice.cli.console.documents import SCHEMA_VERSION, error_document, print_json

__all__ = ["SCHEMA_VERSION", "error_document", "print_json"]
