"""Names on which two places must agree: group, kind, labels, environment variables.

A name that is written in two modules is misspelt in one of them sooner or later, and the operator then waits for ever
for a pod that carries the other spelling. So each such name stands here once.
"""

GROUP = "finetune.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "FineTuneJob"
PLURAL = "finetunejobs"
SINGULAR = "finetunejob"
SHORT_NAME = "ftj"
CATEGORY = "finetune"

JOB_LABEL = f"{GROUP}/job"
STAGE_LABEL = f"{GROUP}/stage"
ATTEMPT_LABEL = f"{GROUP}/attempt"

CONFIG_PATH = "/etc/finetune/job.json"
"""Where a pod finds its trainer configuration (design: contract, item 1)."""

CONFIG_VARIABLE = "FINETUNE_CONFIG"
"""Path of the configuration, for a program of the user's, which gets it nowhere else."""
WORKSPACE_VARIABLE = "FINETUNE_WORKSPACE"
"""Path of the workspace."""
ATTEMPT_VARIABLE = "FINETUNE_ATTEMPT"
"""Number of the attempt, from 1, for a program of the user's."""

TERMINATION_LOG_VARIABLE = "FINETUNE_TERMINATION_LOG"
"""Path of the termination message; a pod leaves it unset and gets `/dev/termination-log`."""
TERMINATION_LOG_PATH = "/dev/termination-log"

PROGRESS_URL_VARIABLE = "KUBEFLOW_TRAINER_SERVER_URL"
PROGRESS_CA_VARIABLE = "KUBEFLOW_TRAINER_SERVER_CA_CERT"
PROGRESS_TOKEN_VARIABLE = "KUBEFLOW_TRAINER_SERVER_TOKEN"
"""The progress protocol's variables, as Kubeflow Trainer (KEP-2779) and transformers >= 5.4 read them."""

PROGRESS_PATH = f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/{PLURAL}/{{name}}/progress"
"""Where the progress server takes the reports of one job."""
