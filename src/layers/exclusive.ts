import type { Session } from '@openai/agents';
import type { CallKind, SessionCall, SessionLayer } from '../layer.ts';
import { checkOptions, parseDuration, type Duration } from '../options.ts';
import { lostTurnError } from '../session-contract.ts';
import { fenced } from './exclusive/lock.ts';
import type { Run } from './exclusive/turn.ts';
import { createTurns, type Turns } from './exclusive/turns.ts';

/** Options of {@link exclusive}. */
export interface ExclusiveOptions {
  /** How long a run waits for its turn before it is `ERR_TIMEOUT`. @defaultValue `'30s'` */
  readonly wait?: Duration;
  /**
   * How long a run may be inactive before another run may take its turn. Its calls on the session and the answers of its models
   * (seen in the usage of its run context) count as activity; a running model call or tool call does not, so the time must be
   * longer than the slowest of them. A run that was inactive for longer keeps its turn until another run asks for it;
   * after that its writes fail with `ERR_CONFLICT`. It can take up to twice as long when an answer came meanwhile.
   * @defaultValue `'5m'`
   */
  readonly hold?: Duration;
}

/** Calls that change nothing. */
const READS: readonly CallKind[] = ['getItems', 'getItemsWithCompactionOwnership'];

/** Calls with which a run writes its items, and ends its turn. */
const WRITES: readonly CallKind[] = [
  'addItems',
  'applyHistoryTransaction',
  'replaceHistoryWithCompaction',
  'addItemsWithCompactionOwnership',
];

/** Calls by which a run removes what it then writes in another form, or restores. */
const REMOVALS: readonly CallKind[] = ['popItem', 'clearSession'];

/** Calls that a run makes. */
const OF_RUNS: readonly CallKind[] = [
  ...READS,
  ...WRITES,
  ...REMOVALS,
  'applyHistoryMutations',
  'replacePrefix',
  'runCompaction',
];

let made: Turns | undefined;

/** One line of runs for each session, whichever layers they come through. Made late: a bundle without the layer omits it. */
const turnsOfProcess = (): Turns => (made ??= createTurns());

/** Runs whose end is known: it ends their turn, and no write does. */
const kept = new WeakSet<Run>();

/** The turn of this run, once it has one, lasts until {@link endTurn}. */
export function keepTurn(run: Run): void {
  kept.add(run);
}

/** Ends the turn of a run that is over. */
export function endTurn(inner: Session, run: Run): void {
  kept.delete(run);
  const turns = turnsOfProcess();
  const turn = turns.of(inner);
  if (turn?.run.deref() === run) turns.end(inner, turn);
}

/**
 * Runs on one session do not interleave: a run has the session from its first read until it has written its items;
 * the next run begins with them in its history. In one process for any session object, whichever wrappers are around
 * it, and across processes on the stores of strongroom, by a lock in the database with a time limit of 15 seconds,
 * which is renewed while the run lasts.
 *
 * {@link runExclusive} ends the turn with the run, however that ends. Plain `run()` does not report its end to the
 * session: its first write ends the turn, but for one that fails after the run removed items, which it then restores.
 * When nothing is written, the turn ends when the run context is garbage-collected, and another run may take it after
 * `hold`. It is not collected while the application holds the run context, or the error of the run, which references
 * it. A run whose first read fails or is refused has no turn.
 *
 * A session that compacts itself (`OpenAIResponsesCompactionSession`) belongs below this layer:
 * `wrapSession(compactionSession, [exclusive()])`, with the other layers around its `underlyingSession`. It passes no
 * run context to the layers below it, so `exclusive()` there excludes nothing. The class hides the lock of a store,
 * so this arrangement works in one process.
 *
 * Limits: calls without a run context (an application's own `addItems`) do not wait, and neither does a change by a run
 * that has no turn, such as a compaction after the write of a plain `run()`. A plain run that writes twice, because it
 * was resumed after an approval, lets another run begin between the two. Runs that share a run context at the same time
 * are one run.
 *
 * A run inside of a run on the same session: `agent.asTool()` passes the run context of the outer run on, so both are
 * one run. Under plain `run()` the first write of the nested one ends the turn of both, and another run can begin before the
 * outer one has written: use {@link runExclusive} for the outer run, whose turn lasts until its own end. With
 * `parameters`, `inputBuilder` or a `context` of its own the tool gets another run context, as a `run()` inside of a tool does: it waits for
 * the outer run until `ERR_TIMEOUT`, which the outer model sees as a tool that failed. Give such a tool another session, or none.
 *
 * On the stores of strongroom each change checks the lock in its own transaction (or script): a run that lost its turn,
 * because its process was suspended or it was inactive for too long, gets `ERR_CONFLICT` and changes nothing.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Calls: `ERR_TIMEOUT` when the run did not get its turn in
 * time, `ERR_CONFLICT` when it lost its turn.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { exclusive, wrapSession } from 'strongroom';
 *
 * const session = wrapSession(new MemorySession(), [exclusive({ wait: '10s' })]);
 * console.log(await session.getItems());
 * ```
 */
export function exclusive(options: ExclusiveOptions = {}): SessionLayer {
  checkOptions('exclusive', options, ['wait', 'hold']);
  const wait = parseDuration('exclusive', 'wait', options.wait ?? '30s');
  const hold = parseDuration('exclusive', 'hold', options.hold ?? '5m');
  const turns = turnsOfProcess();

  async function around<T>(call: SessionCall, next: () => Promise<T>): Promise<T> {
    const { runContext: run, inner, kind } = call;
    // Functions on sessions and stores are not part of a run.
    if (run === undefined || !OF_RUNS.includes(kind)) return await next();
    const reads = READS.includes(kind);
    let turn = turns.of(inner);
    if (turn?.run.deref() !== run) {
      if (!reads && turns.isLate(inner, run)) throw lostTurnError(call.sessionId);
      // Mutations of one session are queued: one that waited here would block the run that has the turn from ending
      // it. Only readers wait, and a run reads before it writes.
      if (!reads) return await next();
      turn = await turns.begin(run, call, wait);
    }
    // Another call of this run may be acquiring the lock.
    await turn.ready;
    turns.wake(turn);
    const mine = turn;
    const writes = WRITES.includes(kind);
    let restores = writes && mine.hasRemoved;
    mine.calls++;
    try {
      const result = reads ? await next() : await fenced(mine, call.sessionId, next);
      mine.hasAnswer = true;
      mine.hasRemoved ||= REMOVALS.includes(kind);
      restores = false;
      return result;
    } finally {
      // A run whose write failed can be repeated at once, but first it restores what it has removed.
      const isOver = writes && !restores && !kept.has(run);
      mine.calls--;
      if (mine.lost) turns.lose(inner, mine);
      else if (isOver || (!mine.hasAnswer && mine.calls === 0)) turns.end(inner, mine);
      else if (turns.of(inner) === mine) turns.listen(inner, mine, hold);
    }
  }

  return { name: 'exclusive', unique: true, wantsRunContext: true, around };
}
