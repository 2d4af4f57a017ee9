import type { Session } from '@openai/agents';
import type { CallKind, SessionCall, SessionLayer } from '../layer.ts';
import { checkOptions, parseDuration, type Duration } from '../options.ts';
import { lostTurnError } from '../session-contract.ts';
import { fenced } from './exclusive/lock.ts';
import type { Run, Turn } from './exclusive/turn.ts';
import { createTurns } from './exclusive/turns.ts';

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

/** Calls that a run makes. */
const OF_RUNS: readonly CallKind[] = [
  ...READS,
  ...WRITES,
  'popItem',
  'clearSession',
  'applyHistoryMutations',
  'replacePrefix',
  'runCompaction',
];

/** Ends the turn of a run that is over, by the layer that `exclusive()` made. */
export const turnEnders: WeakMap<SessionLayer, (inner: Session, run: Run) => void> = new WeakMap();

/**
 * Runs on one session do not interleave: a run has the session from its first read until it has written its items;
 * the next run begins with them in its history. In one process for any session, and across processes on the stores
 * of strongroom, by a lock in the database with a time limit of 15 seconds, which is renewed while the run lasts.
 *
 * {@link runExclusive} ends the turn with the run, however that ends. Plain `run()` does not report a failure to
 * the session: when nothing is written, the turn ends when the run context is garbage-collected, and another run
 * may take it after `hold`. It is not collected while the application holds the run context, or the error of the
 * run, which references it.
 *
 * Limits: calls without a run context (an application's own `addItems`) do not wait. A run that is resumed after an
 * approval writes twice, and another run can begin between the two. A run inside of a run (an agent as a tool) on
 * the same session waits for the outer one until `ERR_TIMEOUT`. On the stores of strongroom each change checks the
 * lock in its own transaction (or script): a run that lost its turn, because its process was suspended or it was
 * inactive for too long, gets `ERR_CONFLICT` and changes nothing.
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
  const turns = createTurns(wait, hold);

  async function around<T>(call: SessionCall, next: () => Promise<T>): Promise<T> {
    const { runContext: run, inner, kind } = call;
    // Functions on sessions and stores are not part of a run.
    if (run === undefined || !OF_RUNS.includes(kind)) return await next();
    const writes = WRITES.includes(kind);
    let turn = turns.of(inner);
    if (turn?.run.deref() !== run) {
      if (!READS.includes(kind) && turns.isLate(inner, run)) throw lostTurnError(call.sessionId);
      // Mutations of one session are queued: one that waited here would block the run that has the turn from ending
      // it. Only readers wait, and a run reads before it writes.
      if (writes) return await next();
      await turns.begin(run, call);
      turn = turns.of(inner) as Turn;
    }
    // Another call of this run may be acquiring the lock.
    await turn.ready;
    turns.wake(turn);
    const mine = turn;
    try {
      return READS.includes(kind) ? await next() : await fenced(mine, call.sessionId, next);
    } finally {
      if (mine.lost) turns.lose(inner, mine);
      else if (writes) turns.end(inner, mine);
      else if (turns.of(inner) === mine) turns.listen(inner, mine);
    }
  }

  const layer: SessionLayer = { name: 'exclusive', unique: true, wantsRunContext: true, around };
  turnEnders.set(layer, (inner, run) => {
    const turn = turns.of(inner);
    if (turn?.run.deref() === run) turns.end(inner, turn);
  });
  return layer;
}
