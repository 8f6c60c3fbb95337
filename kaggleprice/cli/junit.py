"""JUnit XML: a cross-validated run as a test suite, which every CI server can show.

One test case for each fold, which holds its scores, and one for each gate, which fails where it
was missed. The form is that of Ant and Jenkins: testsuites > testsuite > testcase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from kaggleprice.cli.console.text import printable
from kaggleprice.core.errors import GateError
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.reading import Run


def render(run: Run, gates: Sequence[Gate] = ()) -> bytes:
    """Return the suite of a run and the gates that it was held against, UTF-8."""
    record = run.record
    suite = _suite(
        record["competition"],
        len(record["folds"]) + len(gates),
        failures=sum(not gate.passed for gate in gates),
        seconds=record["timing"]["seconds"],
        timestamp=record["timing"]["finished"],
    )
    scores = {name: value for name, value in record["scores"].items() if value is not None}
    _properties(suite, {"run": run.name, "metric": record["metric"], **scores})
    prefix = f"kaggleprice.{record['competition']}"
    for fold in record["folds"]:
        case = _case(suite, f"{prefix}.folds", f"fold {fold['fold']}")
        _properties(case, {name: fold[name] for name in ("train", "validation")})
    for gate in gates:
        case = _case(suite, f"{prefix}.gates", gate.name)
        _properties(case, {"limit": gate.limit, "found": gate.found})
        if not gate.passed:
            said = {"message": printable(gate.reason), "type": GateError.__name__}
            ElementTree.SubElement(case, "failure", said).text = said["message"]
    return _write(suite)


def render_failure(competition: str, kind: str, message: str) -> bytes:
    """Return the suite of a cross-validation that ended with an error, UTF-8.

    Args:
        competition: its name.
        kind: the name of the error's class.
        message: one sentence.
    """
    suite = _suite(competition, 1, errors=1)
    case = _case(suite, f"kaggleprice.{competition}", "cross-validation")
    said = {"message": printable(message), "type": kind}
    ElementTree.SubElement(case, "error", said).text = said["message"]
    return _write(suite)


def _suite(
    competition: str,
    tests: int,
    *,
    failures: int = 0,
    errors: int = 0,
    seconds: float = 0.0,
    timestamp: str = "",
) -> ElementTree.Element:
    counts = {
        "name": f"kaggleprice {competition}",
        "tests": str(tests),
        "failures": str(failures),
        "errors": str(errors),
        "skipped": "0",
        "time": f"{seconds:.3f}",
    }
    # The schema's date has no zone; the record's is UTC.
    dated = {"timestamp": timestamp[:19]} if timestamp else {}
    return ElementTree.Element("testsuite", counts | dated)


def _case(suite: ElementTree.Element, of: str, name: str) -> ElementTree.Element:
    # All folds train together: no time is one fold's alone.
    return ElementTree.SubElement(
        suite, "testcase", {"classname": of, "name": name, "time": "0.000"}
    )


def _properties(parent: ElementTree.Element, values: Mapping[str, object]) -> None:
    properties = ElementTree.SubElement(parent, "properties")
    for name, value in values.items():
        said = {"name": name, "value": printable(str(value))}
        ElementTree.SubElement(properties, "property", said)


def _write(suite: ElementTree.Element) -> bytes:
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"
