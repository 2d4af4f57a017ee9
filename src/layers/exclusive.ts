import type { RunContext, Session } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { StrongroomError } from '../errors.ts';
import type { CallKind, SessionCall, SessionLayer } from '../layer.ts';
import { checkOptions, parseDuration, type Duration } from '../options.ts';
import { renewLease, unref } from '../renew-lease.ts';
import { LEASES, type LeaseName, type SessionLeases, lostTurnError } from '../session-contract.ts';

/** Options of {@link exclusive}. */
export interface ExclusiveOptions {
  /** How long a run waits for its turn before it is `ERR_TIMEOUT`. @defaultValue `'30s'` */
  readonly wait?: Duration;
  /**
   * How long a run may give no sign of life before another one may take its turn. Signs are its calls on the session and the
   * answers of its models, as the usage of its run context tells of them; a model that thinks and a tool that works give none, so
   * it must be longer than the slowest of either. A run that was silent for longer keeps its turn while nobody else asks for it;
   * after that its writing is `ERR_CONFLICT`. Up to twice as long passes when an answer came meanwhile. @defaultValue `'5m'`
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
  stopRenewing?: (() => void) | undefined;
  silence?: ReturnType<typeof setTimeout>;
  /** Whoever asks for the turn gets it. */
  isSilent: boolean;
  lost: boolean;
  /** Settles when the lock is there, or is not to be had. */
  ready: Promise<void>;
}

/**
 * Runs on one session do not interleave: a run has the session from its reading of the history until it wrote what it
 * did; the next one begins with that in its history. In one process for any session, and across processes on the
 * stores of strongroom, by a lock in the database with a time limit of 15 seconds, which is renewed while the run lasts.
 *
 * {@link runExclusive} ends the turn with the run, however that ends. Plain `run()` tells nobody that it failed: when nothing is
 * written, the turn ends when the run context is collected as garbage, and another run may take it after `hold`. An application
 * that keeps the run context, or the error of the run, which has it, keeps it from being collected.
 *
 * What it does not do: calls without a run context (an application's own `addItems`) pass by. A run that is resumed
 * after an approval writes twice, and another run can begin between the two. A run inside of a run (an agent as a tool) on the
 * same session waits for the outer one, and is `ERR_TIMEOUT`. On the stores of strongroom each change
 * looks at the lock in its own transaction (or script): a run whose turn went to another one, because its process was
 * suspended or it was silent for too long, is `ERR_CONFLICT` and changes nothing.
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
  /** Runs whose turn went to another one before they wrote. */
  const late = new WeakMap<Session, WeakSet<Run>>();
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
        Math.max(deadline - performance.now(), 0),
      );
      queue.push(next);
    });
  }

  async function begin(run: Run, call: SessionCall): Promise<void> {
    const { inner, sessionId } = call;
    const deadline = performance.now() + wait;
    for (let other = turns.get(inner); other !== undefined; other = turns.get(inner)) {
      if (other.isSilent) lose(inner, other);
      else await ended(inner, sessionId, deadline);
    }
    late.get(inner)?.delete(run);
    const leases = (inner as { [LEASES]?: SessionLeases })[LEASES];
    const lease: LeaseName = `session ${sessionId}`;
    const turn: Turn = {
      run: new WeakRef(run),
      owner: randomName(),
      leases,
      lease,
      isSilent: false,
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
        if (await leases.acquire(lease, turn.owner, LEASE_TIME, wait)) break;
        if (performance.now() + pause > deadline) throw timeout(sessionId);
        await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
      }
    } catch (error) {
      turn.leases = undefined;
      end(inner, turn);
      throw error;
    }
    if (turns.get(inner) === turn) renewOften(turn);
    // It was ended meanwhile.
    else leases.release(lease, turn.owner).catch(() => undefined);
  }

  function renewOften(turn: Turn): void {
    const { leases, lease, owner } = turn;
    if (leases === undefined) return;
    turn.stopRenewing ??= renewLease(leases, { lease, owner }, LEASE_TIME, {
      answered: (kept) => void (turn.lost ||= !kept),
      // The next renewal may succeed; if none does, the lease ends and the one after it says so.
      failed: () => undefined,
    });
  }

  /** From here on the run is silent, until it calls again or a model answered it. */
  function listen(inner: Session, turn: Turn, last = signOf(turn.run.deref())): void {
    clearTimeout(turn.silence);
    turn.silence = setTimeout(() => {
      const sign = signOf(turn.run.deref());
      if (sign !== last) return listen(inner, turn, sign);
      turn.isSilent = true;
      // In other processes the lock is to be had when it ended. Until then it is still this run's.
      turn.stopRenewing?.();
      turn.stopRenewing = undefined;
      queues.get(inner)?.shift()?.();
    }, hold);
    unref(turn.silence);
  }

  function wake(turn: Turn): void {
    clearTimeout(turn.silence);
    if (!turn.isSilent) return;
    turn.isSilent = false;
    renewOften(turn);
  }

  function end(inner: Session, turn: Turn): void {
    if (turns.get(inner) !== turn) return;
    turn.stopRenewing?.();
    clearTimeout(turn.silence);
    turns.delete(inner);
    collected.unregister(turn);
    turn.leases?.release(turn.lease, turn.owner).catch(() => undefined);
    queues.get(inner)?.shift()?.();
  }

  /** Ends the turn of a run that may still want to write. */
  function lose(inner: Session, turn: Turn): void {
    const run = turn.run.deref();
    if (run !== undefined) {
      const runs = late.get(inner) ?? new WeakSet();
      late.set(inner, runs.add(run));
    }
    end(inner, turn);
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
      if (!READS.includes(kind) && late.get(inner)?.has(run)) throw lostTurnError(call.sessionId);
      // Mutations of one session stand in a line: one that waited here would keep the one who has the turn from ending
      // it. Only readers wait, and a run reads before it writes.
      if (writes) return await next();
      await begin(run, call);
      turn = turns.get(inner) as Turn;
    }
    // Another call of this run may be asking for the lock just now.
    await turn.ready;
    wake(turn);
    const mine = turn;
    try {
      return READS.includes(kind) ? await next() : await fenced(mine, call.sessionId, next);
    } finally {
      if (mine.lost) lose(inner, mine);
      else if (writes) end(inner, mine);
      else if (turns.get(inner) === mine) listen(inner, mine);
    }
  }

  const layer: SessionLayer = { name: 'exclusive', unique: true, wantsRunContext: true, around };
  turnEnders.set(layer, (inner, run) => {
    const turn = turns.get(inner);
    if (turn?.run.deref() === run) end(inner, turn);
  });
  return layer;
}

/** What changes when a model answered. */
function signOf(run: Run | undefined): string {
  return `${run?.usage?.requests} ${run?.usage?.totalTokens}`;
}
