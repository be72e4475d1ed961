from orchestrator.artifacts import Package, Report, Verification
from orchestrator.events import RunFinished
from orchestrator.tracking.none import NoTracking
from orchestrator.tracking.tracker import Tracker


def test_it_records_nothing_and_returns_the_package(
    package: Package, verification: Verification, report: Report
) -> None:
    tracker: Tracker = NoTracking()
    tracker(RunFinished(1.0, ValueError("x")))
    version = tracker.register(package, verification, report)
    tracker.promote(version)
    assert (version.name, version.version, version.run_id, version.package) == ("diabetes_model", "", None, package)
