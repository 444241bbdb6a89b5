"""The work itself: put your own here."""

import os
import time
from decimal import Decimal

WORK_MS = int(os.environ.get("WORK_MS") or "100")


def process(order):
    """Raises where it cannot be done. It may be called twice for one order."""
    if Decimal(order["amount"]) < 0:
        raise ValueError("the amount is negative")
    time.sleep(WORK_MS / 1000)
