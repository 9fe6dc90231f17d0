"""What matters, as counts of rows that show it.

Reference rows are understood, corrected and made anonymous as all others are, so that they look like what they are compared
with. Nothing is kept of them but counts of hashed letter sequences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune_api.contract.data_words import told
from finetune_api.contract.trainer_config import DatasetInput
from finetune_api.errors import DataError
from finetune_trainer.data.batches import batches
from finetune_trainer.data.defects import told_without_words
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.data.inputs.detect import shape_of
from finetune_trainer.data.problems import Problems
from finetune_trainer.data.weighting.relevance import BUCKETS, WhatMatters, counted, hashed_ngrams, text_of
from finetune_trainer.sources import DataFile


def referred(dataset: DatasetInput, files: Sequence[DataFile], ingest: Ingest) -> WhatMatters:
    """Reference rows.

    Raises: DataError if a row must be mended, or if none can be used.
    """
    problems, counts, used = Problems(), np.zeros(BUCKETS, np.int64), 0
    for batch in batches(dataset, 0, files, shape_of(dataset, files, ingest.task)):
        with told_without_words(lambda: batch.place):  # noqa: B023 - asked before the next one comes
            for one in ingest.pipeline.understood(batch, problems):
                counts += counted(hashed_ngrams(text_of(one.example)))
                used += 1
    problems.raise_if_any()
    if not counts.any():
        raise DataError(
            f"none of {problems.read[dataset.name]:,} reference rows could be used{told(problems.dropped)}",
            field=f"{dataset.field}.uri",
        )
    return WhatMatters(counts, f"{used:,} reference rows")
