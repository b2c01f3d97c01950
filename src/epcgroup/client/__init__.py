"""What a program imports to get enclave memory.

``with Enclave(size="64Mi") as enclave: enclave.memory[0] = 1``
"""

from epcgroup.abi.histogram import Histogram, merged
from epcgroup.client.enclave import Enclave
from epcgroup.client.lease import PagerDeath
from epcgroup.client.report import Report, Reporter, read_reports

__all__ = ["Enclave", "Histogram", "PagerDeath", "Report", "Reporter", "merged", "read_reports"]
