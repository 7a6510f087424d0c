"""Who may do what: the one evaluator behind both doors, and the documents that it reads."""

from andromede.objects.access.evaluator import Evaluator
from andromede.objects.access.request import AccessRequest, Decision, Narrowing

__all__ = ["AccessRequest", "Decision", "Evaluator", "Narrowing"]
