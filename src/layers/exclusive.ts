import type { RunContext, Session } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { StrongroomError } from '../errors.ts';
import type { CallKind, SessionCall, SessionLayer } from '../layer.ts';
import { checkOptions, parseDuration, type Duration } from '../options.ts';
import { LEASES, type LeaseName, type SessionLeases, lostTurnError } from '../session-contract.ts';

/** Options of {@link exclusive}. */
export interface ExclusiveOptions {
  /** How long a run waits for its turn before it is `ERR_TIMEOUT`. @defaultValue `'30s'` */
  readonly wait?: Duration;
  /**
   * How long a run may take between reading the history and writing to it. A run that stopped without writing gives its
   * turn back after this time. @defaultValue `'5m'`
   */
  readonly hold?: Duration;
}

/** Calls that change nothing. */
const READS: readonly CallKind[] = ['getItems', 'getItemsWithCompactionOwnership'];

/** Calls with which a run writes what it did, and ends its turn. */
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

/** A lock in the database ends this long after its process died. */
const LEASE_TIME = 15_000;

type Run = RunContext<unknown>;

/** Ends the turn of a run that is over, by the layer that `exclusive()` made. */
export const turnEnders: WeakMap<SessionLayer, (inner: Session, run: Run) => void> = new WeakMap();

interface Turn {
  /** Weak: a run that failed is seen to be over when its context is gone. */
  readonly run: WeakRef<Run>;
  readonly owner: string;
  leases: SessionLeases | undefined;
  readonly lease: LeaseName;
  renewing?: ReturnType<typeof setInterval>;
  ending?: ReturnType<typeof setTimeout>;
  lost: boolean;
  /** Settles when the lock is there, or is not to be had. */
  ready: Promise<void>;
}

/**
 * Runs on one session do not interleave: a run has the session from its reading of the history until it wrote what it
 * did; the next one begins with that in its history. In one process for any session, and across processes on the
 * stores of strongroom, by a lock in the database with a time limit, which is renewed while the run lasts.
 *
 * A run that fails writes nothing, so its turn ends when its run context is collected as garbage, at the latest after
 * `hold`. {@link runExclusive} ends it with the run, however that ends.
 *
 * What it does not do: calls without a run context (an application's own `addItems`) pass by. A run that is resumed
 * after an approval writes twice, and another run can begin between the two. On the stores of strongroom each change
 * looks at the lock in its own transaction (or script): a process that was suspended for longer than the lock lasts is
 * `ERR_CONFLICT` and changes nothing.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Calls: `ERR_TIMEOUT` when the turn did not come in time,
 * `ERR_CONFLICT` when it was lost.
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
  const turns = new WeakMap<Session, Turn>();
  const queues = new WeakMap<Session, (() => void)[]>();
  const collected = new FinalizationRegistry<() => void>((over) => over());

  function timeout(sessionId: string): StrongroomError {
    return new StrongroomError(
      'ERR_TIMEOUT',
      `exclusive: another run has session ${JSON.stringify(sessionId)} for longer than ${wait} ms. Try again later.`,
    );
  }

  /** Resolves when a turn of this process ended, for one caller after the other. */
  function ended(inner: Session, sessionId: string, deadline: number): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const queue = queues.get(inner) ?? [];
      queues.set(inner, queue);
      const next = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(
        () => {
          queue.splice(queue.indexOf(next), 1);
          reject(timeout(sessionId));
        },
        Math.max(deadline - Date.now(), 0),
      );
      queue.push(next);
    });
  }

  async function begin(run: Run, call: SessionCall): Promise<void> {
    const { inner, sessionId } = call;
    const deadline = Date.now() + wait;
    while (turns.has(inner)) await ended(inner, sessionId, deadline);
    const leases = (inner as { [LEASES]?: SessionLeases })[LEASES];
    const lease: LeaseName = `session ${sessionId}`;
    const turn: Turn = {
      run: new WeakRef(run),
      owner: randomName(),
      leases,
      lease,
      lost: false,
      ready: Promise.resolve(),
    };
    // Taken at once: whoever comes while the database is asked waits behind.
    turns.set(inner, turn);
    collected.register(run, () => end(inner, turn), turn);
    if (leases !== undefined) turn.ready = lock(turn, leases, call, deadline);
    await turn.ready;
  }

  async function lock(turn: Turn, leases: SessionLeases, call: SessionCall, deadline: number): Promise<void> {
    const { inner, sessionId } = call;
    const { lease } = turn;
    try {
      for (let pause = 5; ; pause = Math.min(pause * 2, 200)) {
        if (await leases.acquire(lease, turn.owner, LEASE_TIME)) break;
        if (Date.now() + pause > deadline) throw timeout(sessionId);
        await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
      }
    } catch (error) {
      turn.leases = undefined;
      end(inner, turn);
      throw error;
    }
    turn.renewing = setInterval(() => {
      leases.renew(lease, turn.owner, LEASE_TIME).then(
        (kept) => (turn.lost ||= !kept),
        // The next renewal may succeed; if none does, the lease ends and the one after it says so.
        () => undefined,
      );
    }, LEASE_TIME / 3);
    unref(turn.renewing);
  }

  function end(inner: Session, turn: Turn): void {
    if (turns.get(inner) !== turn) return;
    clearInterval(turn.renewing);
    clearTimeout(turn.ending);
    turns.delete(inner);
    collected.unregister(turn);
    turn.leases?.release(turn.lease, turn.owner).catch(() => undefined);
    queues.get(inner)?.shift()?.();
  }

  /** Changes nothing when somebody else has the lock: a process that was suspended knows nothing of the time that passed. */
  async function fenced<T>(turn: Turn, sessionId: string, change: () => Promise<T>): Promise<T> {
    if (turn.lost) throw lostTurnError(sessionId);
    const { leases, lease, owner } = turn;
    leases?.fence({ lease, owner });
    try {
      return await change();
    } catch (error) {
      turn.lost = leases !== undefined && !(await leases.renew(lease, owner, LEASE_TIME).catch(() => true));
      throw error;
    } finally {
      leases?.fence(undefined);
    }
  }

  async function around<T>(call: SessionCall, next: () => Promise<T>): Promise<T> {
    const { runContext: run, inner, kind } = call;
    // Functions on sessions and stores are no part of a run.
    if (run === undefined || !OF_RUNS.includes(kind)) return await next();
    const writes = WRITES.includes(kind);
    let turn = turns.get(inner);
    if (turn?.run.deref() !== run) {
      // Mutations of one session stand in a line: one that waited here would keep the one who has the turn from ending
      // it. Only readers wait, and a run reads before it writes.
      if (writes) return await next();
      await begin(run, call);
      turn = turns.get(inner) as Turn;
    }
    // Another call of this run may be asking for the lock just now.
    await turn.ready;
    clearTimeout(turn.ending);
    const mine = turn;
    try {
      return READS.includes(kind) ? await next() : await fenced(mine, call.sessionId, next);
    } finally {
      if (writes || mine.lost) {
        end(inner, mine);
      } else {
        mine.ending = setTimeout(() => end(inner, mine), hold);
        unref(mine.ending);
      }
    }
  }

  const layer: SessionLayer = { name: 'exclusive', unique: true, wantsRunContext: true, around };
  turnEnders.set(layer, (inner, run) => {
    const turn = turns.get(inner);
    if (turn?.run.deref() === run) end(inner, turn);
  });
  return layer;
}

/** A waiting lock does not keep a process alive. */
function unref(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
}
