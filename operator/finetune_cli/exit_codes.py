"""What `finetune` ends with, so that a script can tell a gate's no from something that broke, and both from Ctrl-C."""

from __future__ import annotations

from finetune_api.v1alpha1.status import Phase

STOPPED = 130
OF_PHASE = {Phase.SUCCEEDED: 0, Phase.REJECTED: 3, Phase.FAILED: 1, Phase.SUSPENDED: STOPPED}
"""Of a job that does not go on; here it is suspended when somebody stops it."""
