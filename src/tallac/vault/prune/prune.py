"""Prune: delete what nothing leads to. docs/format.md, "Prune", has the protocol; docs/decisions/005-prune.md why it is safe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice

from msgspec.structs import replace

from tallac.errors import DamageError, StoreError, StoreFullError
from tallac.vault.components import VaultComponents
from tallac.vault.distance import fetched
from tallac.vault.marking.copies import CopyVerifier
from tallac.vault.mutable.conditional_put import Age
from tallac.vault.mutable.pending_deletions import (
    NO_PENDING_DELETIONS,
    PendingDeletions,
    PendingPack,
    encode_pending,
    pending_deletions_of,
)
from tallac.vault.mutable.registers import State
from tallac.vault.mutable.sessions import SessionState
from tallac.vault.prune.mark import Marker, Marks
from tallac.vault.prune.plan import OFFSETS_MAX, PackUse, Survey, is_all_of, propose, total
from tallac.vault.prune.report import NOTHING_FORGOTTEN, PruneOptions, PrunePhase, PruneReport
from tallac.vault.prune.session_watch import (
    BOTH_LISTINGS,
    FoundSession,
    SessionWatch,
    entering_sessions,
    is_expired,
    lasting_sessions,
    links_in_use,
)
from tallac.vault.prune.sweep import Sweep, refusal
from tallac.wording import pluralize

Progress = Callable[[PruneReport], None]
ROUNDS_MAX = 1000


class Prune:
    """One prune of one vault. It follows links and opens no content, so a keeper may run one."""

    def __init__(self, components: VaultComponents, options: PruneOptions, progress: Progress | None = None) -> None:
        """Prepare; nothing is read yet.

        Raises:
            AuthorityError: This takes the keeper key.
        """
        keeper = components.require_keeper_key()
        self._components = components
        self._options = options
        self._progress = progress
        self._index = components.index
        self._register = components.pending_register()
        self._watch = SessionWatch(components.backend, keeper.roots, components.structure, components.randomness, components.clock)
        self._marker = Marker(
            components.backend,
            keeper,
            components.index,
            components.slots,
            components.require_roots(),
            self._register,
            forgotten=options.forgotten if options.is_dry_run else NOTHING_FORGOTTEN,
        )
        # What was compared with its hash once is not read again in this prune.
        self._verifier = CopyVerifier(components.backend)
        self.report = PruneReport()
        self._taken_out: dict[bytes, PendingPack] = {}
        self._sweeper = Sweep(components, self._register, self.report, self._verifier, self._report_progress)

    def run(self) -> PruneReport:
        """Delete what hangs from no root and no session, in rounds of limited size. Several may run at once, beside any writers.

        Interrupted at any point it harms nothing, and the next one goes on with what it has decided. On a full store it spends the
        vault's reserve.

        Raises:
            DamageError: Something in use can't be followed; nothing was deleted.
            StoreError: The store failed; what is in use is whole.
        """
        if self._options.is_dry_run:
            self._run_rounds()
        else:
            self._components.end_dead_sessions()
            with self._components.reserve.spending():
                self._run_rounds()
                self._report_refused()
            self._fit_reserve()
        return self.report

    def _report_refused(self) -> None:
        """Look once more at what was left though it was decided upon, and report what is so still.

        A writer that began after the sessions were read, and has ended, may have stored anew what is decided upon, in packs that no
        mark had listed, and have entered it before the roots were read. Then it is another copy that counts.
        """
        refused = self._sweeper.refused
        if not refused:
            return
        # Where something in use is damaged, nothing new is known, and all of it is reported.
        with suppress(DamageError):
            survey = self._survey(self._mark())
            if self._sweeper.is_beside_writers:
                return
            state = pending_deletions_of(self._register.read())
            # What this prune has taken out itself is judged as if it were to go: else nothing of it would be missed.
            pending = PendingDeletions(state.number, self._taken_out | dict(state.packs))
            entries = [entry for pack, entry in pending.packs.items() if pack in refused]
            needed = survey.needed(pending) | self._sweeper.contradicted(entries, self._index.listed_packs, pending, survey)
            refused = refused & needed
        self.report.skipped += [refusal(pack) for pack in sorted(refused)]

    def _fit_reserve(self) -> None:
        """Bring the reserve to the size for what is left. A vault does without one, so a failure is none of a prune."""
        with suppress(StoreError):
            if self._components.reserve.has_bounds:
                self._index.refresh()
                self._components.fit_reserve()

    def _run_rounds(self) -> None:
        is_first = True
        for _ in range(ROUNDS_MAX):
            survey = self._survey(self._mark())
            if is_first:
                self._count(survey.uses(NO_PENDING_DELETIONS).values())
                is_first = False
            if self._options.is_dry_run:
                self._foresee(survey)
                return
            before = self.report.deleted_packs
            try:
                proposals, names_all = self._propose(survey)
            except StoreFullError as error:
                # What is decided already can be carried out first, and makes room.
                self._sweep_decided()
                if self.report.deleted_packs == before:
                    raise self._explained(error) from error
                continue
            proposed = proposals.number
            if all(entry.is_decided for entry in proposals.packs.values()):
                self._sweep_decided()
                return
            # What the packs say of themselves does not change, so it can be read while sessions are waited for.
            self._sweeper.expect_footers(proposals.packs, self._index.listed_packs)
            pending, survey = self._decide(proposed, self._wait())
            deleted = self._sweep(pending, survey, proposals)
            if not any(entry.is_decided and entry.since == proposed for entry in pending.packs.values()):
                return
            if names_all and is_all_of(proposals, deleted):
                return

    def _wait(self) -> list[FoundSession]:
        sessions = self._watch.wait(self._options.fence_after_seconds, self._report_waiting)
        self._report_waiting(0)
        return sessions

    def _survey(self, marks: Marks) -> Survey:
        self.report.missing_objects = len(marks.census.missing)
        self.report.ignored = [*marks.ignored, *self._watch.ignored]
        return Survey(self._index, marks, self._verifier)

    def _mark(self) -> Marks:
        """Mark what is in use. The mark reads the index again, after the sessions; here it is asked for its damage alone."""
        with fetched(self._components.backend, (self._index.register_path,), BOTH_LISTINGS):
            sessions = self._watch.read()
            self._index.refresh()
        proved = self._components.vouched(self._index.look_at_packs(), reads_others=True) if self._index.damage else []
        if self._options.is_dry_run:
            self._index.count_on(proved)
            now_ns = self._components.clock.now_ns()
            sessions = [session for session in sessions if not is_expired(session.record, now_ns)]
        else:
            sessions = self._watch.drop_old(sessions)
            if self._index.damage:
                # Without space the index stays as it is; what is not in it is left alone until a later round.
                with suppress(StoreFullError):
                    self._index.publish(proved)
        return self._mark_for(sessions)

    def _mark_for(self, sessions: list[FoundSession]) -> Marks:
        # What is pending deletion can still be followed.
        self._index.pending = NO_PENDING_DELETIONS
        now_ns = self._components.clock.now_ns()
        self.report.lasting_sessions = lasting_sessions(sessions, now_ns)
        self.report.entering_sessions = entering_sessions(sessions, now_ns, self._components.own_sessions.left_until_ns())
        self._sweeper.is_beside_writers = any(
            session.record.state in (SessionState.OPEN, SessionState.COMMITTING) for session in sessions
        )
        self.report.phase = PrunePhase.MARKING
        marks = self._marker.mark(
            links_in_use(sessions, [SessionState.KEPT]),
            self._report_marking,
            entering=links_in_use(sessions, [SessionState.COMMITTING]),
        )
        self.report.entering_objects, self.report.entering_bytes = marks.entering.objects, marks.entering.size
        return marks

    def _propose(self, survey: Survey) -> tuple[PendingDeletions, bool]:
        """Propose to delete what is not in use, durably: all of it, or as much as one round takes, or a full store.

        Returns:
            The pending deletions, and whether all that is to go is among them.
        """
        proposed: list[PendingPack] = []
        count: int | None = None

        def add(state: State | None) -> bytes | None:
            pending = pending_deletions_of(state)
            proposed[:] = islice(propose(survey.uses(pending), self._options.unused_max, pending.number + 1), count)
            return encode_pending([*pending.packs.values(), *proposed]) if proposed else None

        while True:
            try:
                state = self._register.swap_state(add)
            except StoreFullError:
                # Those that come first free the most; the next round takes the others.
                count = len(proposed) // 2
                if not count:
                    raise
            else:
                named = sum(len(entry.offsets or ()) for entry in proposed)
                return pending_deletions_of(state), count is None and named < OFFSETS_MAX

    def _explained(self, error: StoreFullError) -> StoreFullError:
        deleted = pluralize(self.report.deleted_packs, "pack") if self.report.deleted_packs else "nothing"
        return StoreFullError(
            f"{error}: a prune records what it deletes beforehand, which takes a few KB; deleted so far: {deleted}. "
            "Make that much room beside the vault and prune again"
        )

    def _decide(self, proposed: int, sessions: list[FoundSession]) -> tuple[PendingDeletions, Survey]:
        """Look again at what was proposed by then; take out what came alive, and decide upon the rest.

        Args:
            proposed: The number by which it was.
            sessions: All there are, after a wait for those that were open then.

        Returns:
            The pending deletions, and what is in use as of this second look.
        """
        survey = self._survey(self._mark_for(sessions))
        # What the packs themselves say is looked at before anything is decided: the index may have been falsified. Of what was
        # proposed by then some may have been taken out since, and nothing comes back under the same number: so any state since then
        # names all that can be decided, and the listing of the mark has all of it that is there.
        before = pending_deletions_of(self._register.read(Age.ANY))
        # What a writer has entered since the proposal is in use by the index too: that is no contradiction.
        alive = survey.needed(before)
        undecided = [
            entry for entry in before.packs.values() if not entry.is_decided and entry.since <= proposed and entry.pack not in alive
        ]
        contradicted = self._sweeper.contradicted(undecided, self._index.listed_packs, before, survey)
        self._sweeper.refuse(contradicted)
        self._taken_out.update((entry.pack, entry) for entry in undecided if entry.pack in contradicted)

        def decide(state: State | None) -> bytes | None:
            pending = pending_deletions_of(state)
            needed = survey.needed(pending) | contradicted
            entries = []
            for entry in pending.packs.values():
                if entry.is_decided or entry.since > proposed:
                    entries.append(entry)
                elif entry.pack not in needed:
                    entries.append(replace(entry, is_decided=True))
            return None if entries == list(pending.packs.values()) else encode_pending(entries)

        return pending_deletions_of(self._register.swap_state(decide)), survey

    def _sweep_decided(self) -> None:
        """Carry out what others have decided, or an earlier round, after a mark of this prune's own that comes after theirs."""
        pending = pending_deletions_of(self._register.read())
        if any(self._is_to_be_done(entry) for entry in pending.packs.values()):
            self._sweep(pending, self._survey(self._mark_for(self._wait())), pending)

    def _is_to_be_done(self, entry: PendingPack) -> bool:
        """Whether a pack that is decided upon may still be there."""
        return entry.is_decided and (entry.pack in self._index.packs() or entry.pack in self._index.listed_packs)

    def _sweep(self, pending: PendingDeletions, survey: Survey, before: PendingDeletions) -> set[bytes]:
        """Carry out what is decided; return the packs that are deleted."""
        self.report.phase = PrunePhase.DELETING
        deleted = self._sweeper.sweep(pending, survey, before)
        self._report_progress()
        return deleted

    def _foresee(self, survey: Survey) -> None:
        """Report what would be deleted and moved: by this prune's own plan, and of what is pending already."""
        pending = pending_deletions_of(self._register.read())
        needed = survey.needed(pending)
        uses = survey.uses(NO_PENDING_DELETIONS)
        sizes = {name: size for name, size in self._index.packs().items() if name in self._index.listed_packs}
        known = [entry for entry in pending.packs.values() if entry.pack in sizes and entry.pack not in needed]
        planned = [*known, *propose(survey.uses(pending), self._options.unused_max, 0, count_max=1 << 62)]
        then = PendingDeletions(pending.number, dict(pending.packs) | {entry.pack: entry for entry in planned})
        refused = needed | self._sweeper.contradicted(planned, sizes, then, survey)
        if not self._sweeper.is_beside_writers:
            said = sorted(pack for pack in refused if pack not in pending.packs or pending.packs[pack].is_decided)
            self.report.skipped += [refusal(pack) for pack in said]
        for entry in planned:
            if entry.pack in refused:
                continue
            self.report.deleted_packs += 1
            self.report.deleted_bytes += sizes.get(entry.pack, 0)
            if entry.offsets is not None:
                self.report.repacked_packs += 1
                self.report.written_bytes += uses[entry.pack].alive_size

    def _count(self, uses: Iterable[PackUse]) -> None:
        sum_ = total(uses)
        self.report.alive_objects, self.report.alive_bytes = sum_.alive, sum_.alive_size
        self.report.dead_objects, self.report.dead_bytes = sum_.dead, sum_.dead_size
        self._report_progress()

    def _report_marking(self, marked: int) -> None:
        self.report.marked_objects, self.report.objects_total = marked, self._index.count()
        self._report_progress()

    def _report_waiting(self, sessions: int) -> None:
        self.report.phase = PrunePhase.WAITING
        self.report.waiting_sessions = sessions
        self._report_progress()

    def _report_progress(self) -> None:
        if self._progress is not None:
            self._progress(self.report)
