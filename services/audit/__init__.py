"""An independent auditor: folds the log of events anew and compares it with the case table and with ClickHouse.

It imports contracts (`schemas`) and clients only, nothing of the code that it judges.
"""

from services.audit.report import Report
from services.audit.states import audit_states

__all__ = ["Report", "audit_states"]
