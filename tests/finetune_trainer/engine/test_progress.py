"""Where a run stands, after steps and validations."""

from __future__ import annotations

from finetune_trainer.engine.progress import Progress


def after(*losses: float) -> Progress:
    """One step before each validation."""
    progress = Progress(0)
    for loss in losses:
        progress = progress.stepped().validated(loss)
    return progress


def test_the_step_with_the_lowest_loss_is_kept_and_an_equal_one_is_no_better() -> None:
    assert after(2.0, 1.5, 1.5, 1.7) == Progress(4, best_step=2, best_loss=1.5, without_improvement=2)
    assert after(2.0, 1.5, 1.5, 1.7).kept_step == 2


def test_where_nothing_was_validated_the_last_step_is_kept() -> None:
    assert Progress(0).stepped().stepped().kept_step == 2


def test_a_better_loss_begins_the_count_anew() -> None:
    assert not after(2.0, 2.1, 1.9, 2.0).is_no_better(2)
    assert after(2.0, 2.1, 1.9, 2.0, 2.0).is_no_better(2)


def test_without_patience_no_run_ends_early() -> None:
    assert not after(1.0, *[2.0] * 50).is_no_better(0)
