"""Gates: what a score was held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaggleprice.comparison import Difference
from kaggleprice.gates import Gate


def gate_documents(gates: Sequence[Gate]) -> list[dict[str, Any]]:
    """Describe each gate; `comparison` is null where nothing was compared."""
    return [
        {
            "name": gate.name,
            "limit": gate.limit,
            "found": gate.found,
            "passed": gate.passed,
            "reason": gate.reason,
            "comparison": None
            if gate.difference is None
            else {
                "baseline": gate.baseline,
                "tolerance": gate.tolerance,
                **difference_document(gate.difference),
            },
        }
        for gate in gates
    ]


def difference_document(difference: Difference) -> dict[str, Any]:
    """Describe a paired difference."""
    return {
        "unit": difference.unit,
        "count": difference.count,
        "difference": difference.difference,
        "standard_error": difference.standard_error,
        "plain_error": difference.plain_error,
        "noise": difference.bound(),
    }


def gate_lines(gates: Sequence[Gate]) -> list[str]:
    """Say of each gate whether it was passed."""
    return [
        f"gate {gate.name} {'passed' if gate.passed else 'MISSED'}: {gate.reason}" for gate in gates
    ]
