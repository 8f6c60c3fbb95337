"""JUnit XML: a cross-validated run as a test suite, which every CI server can show.

One test case for each fold, which holds its scores, and one for each gate, which fails where it
was missed. The form is that of Ant and Jenkins: testsuites > testsuite > testcase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from kaggleprice.cli.console.text import printable
from kaggleprice.core.errors import GateError
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.run import Run


def render(run: Run, gates: Sequence[Gate] = ()) -> bytes:
    """Return the suite of a run and the gates that it was held against, UTF-8."""
    record = run.record
    suite = _suite(
        record["competition"],
        tests=len(record["folds"]) + len(gates),
        failures=sum(not gate.passed for gate in gates),
        seconds=record["timing"]["seconds"],
    )
    # The schema's date has no zone; the record's is UTC.
    suite.set("timestamp", record["timing"]["finished"][:19])
    scores = {name: value for name, value in record["scores"].items() if value is not None}
    _add_properties(suite, {"run": run.name, "metric": record["metric"], **scores})
    prefix = f"kaggleprice.{record['competition']}"
    for fold in record["folds"]:
        case = _add_case(suite, f"{prefix}.folds", f"fold {fold['fold']}")
        _add_properties(case, {name: fold[name] for name in ("train", "validation")})
    for gate in gates:
        case = _add_case(suite, f"{prefix}.gates", gate.name)
        _add_properties(case, {"limit": gate.limit, "found": gate.found})
        if not gate.passed:
            _add_outcome(case, "failure", GateError.__name__, gate.reason)
    return _to_bytes(suite)


def render_failure(competition: str, kind: str, message: str) -> bytes:
    """Return the suite of a cross-validation that ended with an error, UTF-8.

    Args:
        competition: its name.
        kind: the name of the error's class.
        message: one sentence.
    """
    suite = _suite(competition, tests=1, errors=1)
    case = _add_case(suite, f"kaggleprice.{competition}", "cross-validation")
    _add_outcome(case, "error", kind, message)
    return _to_bytes(suite)


def _suite(
    competition: str, *, tests: int, failures: int = 0, errors: int = 0, seconds: float = 0.0
) -> Element:
    return Element(
        "testsuite",
        name=f"kaggleprice {competition}",
        tests=str(tests),
        failures=str(failures),
        errors=str(errors),
        skipped="0",
        time=f"{seconds:.3f}",
    )


def _add_case(suite: Element, classname: str, name: str) -> Element:
    # All folds train together: no time is one fold's alone.
    return SubElement(suite, "testcase", classname=classname, name=name, time="0.000")


def _add_properties(parent: Element, values: Mapping[str, object]) -> None:
    properties = SubElement(parent, "properties")
    for name, value in values.items():
        SubElement(properties, "property", name=name, value=printable(str(value)))


def _add_outcome(case: Element, tag: str, kind: str, message: str) -> None:
    SubElement(case, tag, message=printable(message), type=kind).text = printable(message)


def _to_bytes(suite: Element) -> bytes:
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"
