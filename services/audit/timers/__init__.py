"""An independent auditor of timers: derives every deadline and every firing anew from the log of events and the policy documents.

It imports contracts (`schemas`) and clients only. Working time and limits in days are counted by a calendar of its own (days.py).
"""

from services.audit.timers.report import TimersReport
from services.audit.timers.run import audit_timers

__all__ = ["TimersReport", "audit_timers"]
