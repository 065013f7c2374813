"""Jobs in and out as text: imports, exports, and a reviewed file that becomes what an organisation has."""

from schedules.services.exchange.applying import apply, plan_apply
from schedules.services.exchange.importing import Imported, ImportedJob, import_jobs
from schedules.services.exchange.standing import agent_target, export_jobs

__all__ = ("Imported", "ImportedJob", "agent_target", "apply", "export_jobs", "import_jobs", "plan_apply")
