"""A record as a table: one line a row of a claim, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

COLUMNS = (
    "claim",
    "claim_verdict",
    "scale",
    "row",
    "role",
    "drawn",
    "size",
    "parameters",
    "value",
    "stderr",
    "low",
    "high",
    "n",
    "exact",
    "region",
    "region_low",
    "region_high",
    "verdict",
    "why",
    "measurement",
    "key",
)


def rows_csv(record: Mapping[str, Any]) -> str:
    """All rows of all claims; what is infinite or undefined is empty; ``parameters`` is JSON."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for claim in record["claims"]:
        for row in claim["rows"]:
            estimate = row["estimate"] or {}
            writer.writerow(
                {
                    "claim": claim["id"],
                    "claim_verdict": claim["verdict"],
                    "scale": claim["scale"],
                    "row": row["label"],
                    "parameters": json.dumps(row["parameters"], ensure_ascii=False),
                    "region": row["region"]["text"],
                    "region_low": row["region"]["low"],
                    "region_high": row["region"]["high"],
                    **{name: estimate.get(name) for name in ("value", "stderr", "low", "high", "n", "exact")},
                    **{name: row[name] for name in ("role", "drawn", "size", "verdict", "why", "measurement", "key")},
                }
            )
    return buffer.getvalue()
