"""The schema of a webhook's body, as it stands under docs: `python -m tests.services.reporter.schema` writes it anew
(`make docs`)."""

from __future__ import annotations

from pathlib import Path

from services.reporter import envelope

FILE = Path(__file__).resolve().parents[3] / "docs" / "webhook.schema.json"

if __name__ == "__main__":
    FILE.write_text(envelope.schema_text(), encoding="utf-8")
