"""Whatever happens to a job, in whatever order: the promises of the status and of the attempts are kept.

A cluster small enough to hold in the hand takes the decisions and carries them out, or crashes half way; pods wait, run,
report, break, finish, vanish and come back late. After each step everything that must always hold is looked at.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import strategies
from builders import NOON, a_decision, a_job, a_plan, a_result, seen
from finetune_api.contract.exit_codes import ExitCode
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import FineTuneJobStatus, Phase, Progress
from finetune_operator.brain.decide import AttemptName, Decision, decide
from finetune_operator.brain.observation import AttemptSeen, AttemptState, Exit, ExitReason, Observation
from finetune_operator.brain.stages import STAGES, Stage
from finetune_operator.brain.transitions import transitions

ALIVE = {AttemptState.WAITING, AttemptState.BLOCKED, AttemptState.RUNNING, AttemptState.ENDING}
AT_ONCE = timedelta(0)
ends = st.one_of(st.just(Exit(143, ExitReason.DISRUPTED)), st.sampled_from([Exit(1), Exit(75)]), strategies.exits())
"""Mostly ends after which a job goes on: a life that is over soon shows little."""
often = st.sampled_from([True, True, False])
"""Most changes wake the operator at once; some are seen only with the next."""


def as_stored(status: FineTuneJobStatus) -> FineTuneJobStatus:
    """The status as the API server gives it back."""
    return FineTuneJobStatus.model_validate_json(status.model_dump_json(by_alias=True, exclude_none=True))


def stages_done(status: FineTuneJobStatus) -> set[Stage]:
    done = {condition.type for condition in status.conditions if condition.status == "True"}
    return {stage for stage, needs in STAGES.items() if needs.condition in done}


lively = precondition(lambda self: not (self.job.status.phase and self.job.status.phase.terminal))


class Life(RuleBasedStateMachine):
    """One job and everything that can happen to it."""

    job: FineTuneJob
    now: datetime

    @initialize(
        max_restarts=st.sampled_from([0, 3, 20]),
        deadline=st.sampled_from([None, None, 36_000]),
        queue=st.sampled_from([None, 300]),
    )
    def submit(self, max_restarts: int, deadline: int | None, queue: int | None) -> None:
        self.job = a_job(
            max_restarts=max_restarts,
            active_deadline_seconds=deadline,
            queue_deadline_seconds=queue,
            startup_deadline_seconds=300,
            stall_timeout_seconds=300,
        )
        self.now = NOON
        self.world: dict[AttemptName, AttemptSeen] = {}
        self.created: list[AttemptName] = []
        self.events: Counter[tuple[str, ...]] = Counter()

    # ------------------------------------------------------------ the operator

    @property
    def seen(self) -> Observation:
        return Observation(tuple(self.world.values()))

    @property
    def alive(self) -> set[AttemptName]:
        return {name for name, one in self.world.items() if one.state in ALIVE}

    def decided(self) -> Decision:
        decision = decide(self.job, a_plan(self.job), self.seen, self.now)
        assert decision.requeue_after is None or decision.requeue_after >= AT_ONCE
        assert set(decision.stop) <= self.alive
        assert not (decision.start and decision.stop)
        if decision.status.phase and decision.status.phase.terminal:
            assert set(decision.stop) == self.alive, "nothing outlives the job"
            assert decision.start is None
        return decision

    def write(self, decision: Decision) -> None:
        before, after = self.job.status, as_stored(decision.status)
        assert after == decision.status, "what is written is what is read"
        self.job = self.job.model_copy(update={"status": after})
        for event in transitions(before, after):
            self.events[(event.reason, str(event.facts.get("stage", "")), str(event.facts.get("attempt", "")))] += 1
        if before.phase and before.phase.terminal:
            assert after == before, "what has ended stays ended"
        assert stages_done(before) <= stages_done(after), "no stage is undone"
        assert before.restarts.total <= after.restarts.total
        assert before.restarts.charged <= after.restarts.charged
        ends = {(a.stage, a.number): a for a in before.attempts if a.finished_at}
        assert all(ends.get((a.stage, a.number), a) == a for a in after.attempts), "an attempt that ended is history"

    def carry_out(self, decision: Decision) -> None:
        for name in decision.stop:
            if name in self.world and self.world[name].state in ALIVE:
                self.world[name] = replace(self.world[name], state=AttemptState.ENDING, ending_since=self.now)
        if decision.start:
            self.create(decision.start)

    def create(self, name: AttemptName) -> None:
        assert not self.alive, "two attempts would share the workspace"
        (noted,) = [a for a in self.job.status.attempts if (a.stage, a.number) == (name.stage, name.number)]
        assert noted.finished_at is None, "it is written down before it exists"
        assert noted.started_at is None, "a name is used again only if nothing ran under it"
        assert name.number >= max((c.number for c in self.created if c.stage is name.stage), default=1), "numbers rise"
        self.created.append(name)
        self.world[name] = AttemptSeen(name.stage, name.number, AttemptState.WAITING, waiting_since=self.now)

    @rule()
    def reconcile(self) -> None:
        for _ in range(5):
            decision = self.decided()
            self.write(decision)
            self.carry_out(decision)
            if decision.requeue_after != AT_ONCE:
                break
        else:
            raise AssertionError("it asks for another look for ever")

    @rule()
    @lively
    def write_the_status_and_crash(self) -> None:
        self.write(self.decided())

    @rule()
    def decide_twice(self) -> None:
        planned = a_plan(self.job)
        self.write(first := self.decided())
        if first.requeue_after == AT_ONCE or a_plan(self.job) != planned:  # the next look plans anew
            self.write(first := self.decided())
        again = self.decided()
        assert again.status == first.status, "deciding again says nothing new"
        assert (again.start, again.stop, again.requeue_after) == (first.start, first.stop, first.requeue_after)

    # ------------------------------------------------------------ the world

    def pick(self, data: st.DataObject, *states: AttemptState) -> AttemptSeen | None:
        fitting = [one for one in self.world.values() if one.state in states]
        return data.draw(st.sampled_from(fitting)) if fitting else None

    def put(self, one: AttemptSeen, noticed: bool = False) -> None:
        self.world[AttemptName(one.stage, one.number)] = one
        if noticed:
            self.reconcile()

    @rule(seconds=st.sampled_from([1, 30, 100, 400, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(data=st.data(), noticed=often)
    @lively
    def one_begins_to_run(self, data: st.DataObject, noticed: bool) -> None:
        if one := self.pick(data, AttemptState.WAITING, AttemptState.BLOCKED):
            self.put(replace(one, state=AttemptState.RUNNING, started_at=self.now), noticed)

    @rule(data=st.data(), noticed=often)
    @lively
    def one_cannot_start(self, data: st.DataObject, noticed: bool) -> None:
        if one := self.pick(data, AttemptState.WAITING):
            self.put(replace(one, state=AttemptState.BLOCKED, waiting_since=self.now, waits_for="no such image"), noticed)

    @rule(data=st.data(), noticed=often, step=st.integers(0, 50))
    @lively
    def one_reports(self, data: st.DataObject, noticed: bool, step: int) -> None:
        if one := self.pick(data, AttemptState.RUNNING, AttemptState.ENDING):
            self.put(replace(one, progress=Progress(step=step, total_steps=50, updated_at=self.now)), noticed)

    @rule(data=st.data(), noticed=often, end=ends)
    @lively
    def one_breaks(self, data: st.DataObject, noticed: bool, end: Exit) -> None:
        if one := self.pick(data, *ALIVE):
            self.put(replace(one, state=AttemptState.ENDED, finished_at=self.now, exit=end), noticed)

    @rule(data=st.data(), noticed=often)
    @lively
    def one_ends_without_a_trace_of_how(self, data: st.DataObject, noticed: bool) -> None:
        if one := self.pick(data, *ALIVE):
            self.put(replace(one, state=AttemptState.ENDED, finished_at=None, exit=None), noticed)

    @rule(data=st.data(), noticed=often, passed=st.booleans())
    @lively
    def one_does_its_work(self, data: st.DataObject, noticed: bool, passed: bool) -> None:
        if one := self.pick(data, AttemptState.RUNNING, AttemptState.ENDING):
            end = Exit(ExitCode.DONE, result=a_result(one.stage, passed=passed))
            self.put(replace(one, state=AttemptState.ENDED, finished_at=self.now, exit=end), noticed)

    @rule(passed=st.booleans())
    @lively
    def a_stage_goes_well(self, passed: bool) -> None:
        self.reconcile()
        if alive := [one for one in self.world.values() if one.state in ALIVE]:
            one = replace(alive[0], started_at=alive[0].started_at or self.now)
            end = Exit(ExitCode.DONE, result=a_result(one.stage, passed=passed))
            self.put(replace(one, state=AttemptState.ENDED, finished_at=self.now, exit=end))
        self.reconcile()

    @rule(data=st.data(), comes_back=st.booleans())
    @lively
    def one_is_deleted(self, data: st.DataObject, comes_back: bool) -> None:
        """By force, perhaps: then its node answers again later, and what ran there still writes."""
        if one := self.pick(data, *ALIVE):
            del self.world[AttemptName(one.stage, one.number)]
            self.reconcile()
            if comes_back:
                self.put(replace(one, state=AttemptState.ENDING, started_at=one.started_at or self.now))

    @rule(suspend=st.sampled_from([True, False, False]))
    @lively
    def somebody_suspends_or_resumes(self, suspend: bool) -> None:
        policy = self.job.spec.run_policy.model_copy(update={"suspend": suspend})
        self.job = self.job.model_copy(update={"spec": self.job.spec.model_copy(update={"run_policy": policy})})

    @rule()
    @precondition(lambda self: self.job.status.attempts)
    def the_operator_is_asked_out_of_turn(self) -> None:
        earlier = self.now - timedelta(seconds=5)  # another replica's clock
        decide(self.job, a_plan(self.job), self.seen, earlier)

    # ------------------------------------------------------------ what always holds

    @invariant()
    def limits_are_kept(self) -> None:
        status, policy = self.job.status, self.job.spec.run_policy
        assert status.restarts.charged <= min(status.restarts.total, policy.max_restarts)
        assert len(status.attempts) <= 10
        assert len([attempt for attempt in status.attempts if attempt.finished_at is None]) <= 1
        names = [(attempt.stage, attempt.number) for attempt in status.attempts]
        assert len(names) == len(set(names))

    @invariant()
    def an_end_is_one_end(self) -> None:
        status = self.job.status
        true = {condition.type for condition in status.conditions if condition.status == "True"}
        ended = bool(status.phase and status.phase.terminal)
        assert len(true & {"Complete", "Failed"}) == ended
        assert ("Stalled" in true) == (status.phase in (Phase.FAILED, Phase.REJECTED))
        assert bool(status.completion_time) == ended
        if ended:
            assert all(attempt.finished_at for attempt in status.attempts)
            assert status.message

    @invariant()
    def each_event_is_told_once(self) -> None:
        told = {event: count for event, count in self.events.items() if event[0] not in ("Suspended", "Resumed")}
        assert all(count == 1 for count in told.values()), told

    def teardown(self) -> None:
        """From wherever it is, a job comes to its end as soon as nothing goes wrong any more."""
        self.somebody_suspends_or_resumes(suspend=False)
        for _ in range(40):
            self.reconcile()
            if self.job.status.phase and self.job.status.phase.terminal:
                return
            self.now += timedelta(seconds=400)
            for name in self.alive:
                one = self.world[name]
                told_to_stop = one.state is AttemptState.ENDING
                end = Exit(143) if told_to_stop else Exit(ExitCode.DONE, result=a_result(one.stage))
                started = one.started_at or self.now
                self.put(replace(one, state=AttemptState.ENDED, started_at=started, finished_at=self.now, exit=end))
        raise AssertionError(f"it never ends: {self.job.status.message}")


LIVES = settings(max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck))
TestLife = Life.TestCase
TestLife.settings = LIVES


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(strategies.exits(), st.one_of(st.none(), st.integers(0, 12))), min_size=1, max_size=5),
    st.integers(0, 4),
    st.sampled_from(Stage),
)
def test_a_job_whose_attempts_keep_ending_badly_ends(
    ends: list[tuple[Exit, int | None]], max_restarts: int, stage: Stage
) -> None:
    job, now, charged = a_job(at=stage, max_restarts=max_restarts), NOON, 0
    for turn in range(200):
        decision = a_decision(job, seen(), now)
        while decision.requeue_after is not None and decision.start is None:
            now += decision.requeue_after
            job = job.model_copy(update={"status": decision.status})
            decision = a_decision(job, seen(), now)
        job = job.model_copy(update={"status": decision.status})
        if decision.start is None:
            break
        end, step = ends[turn % len(ends)]
        progress = Progress(step=step, updated_at=now) if step is not None else None
        ended = AttemptSeen(stage, decision.start.number, AttemptState.ENDED, now, finished_at=now, exit=end, progress=progress)
        job = job.model_copy(update={"status": a_decision(job, Observation((ended,)), now).status})
        charged = sum(attempt.charged for attempt in job.status.attempts)
        if job.status.phase and job.status.phase.terminal:
            break
    assert job.status.phase is Phase.FAILED
    assert charged <= max_restarts + 1, "the failure that ended the job may be charged, though no restart follows"


@settings(max_examples=40, deadline=None)
@given(strategies.exits(), st.integers(0, 2000))
def test_the_same_input_gets_the_same_decision(end: Exit, seconds: int) -> None:
    job = a_job(at="train")
    job = job.model_copy(update={"status": a_decision(job).status})
    ended = AttemptSeen(Stage.TRAIN, 1, AttemptState.ENDED, NOON, finished_at=NOON, exit=end)
    now = NOON + timedelta(seconds=seconds)
    assert a_decision(job, Observation((ended,)), now) == a_decision(job, Observation((ended,)), now)
