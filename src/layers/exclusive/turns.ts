import type { Session } from '@openai/agents';
import { randomName } from '../../crypto/random.ts';
import { StrongroomError } from '../../errors.ts';
import type { SessionCall } from '../../layer.ts';
import { unref } from '../../renew-lease.ts';
import { LEASES, type LeaseName, type SessionLeases } from '../../session-contract.ts';
import { createLine } from './line.ts';
import { acquire, renewOften } from './lock.ts';
import type { Run, Turn } from './turn.ts';

/**
 * The current turn on each session, in this process and, where the session has leases, in all processes. Times are in
 * milliseconds.
 */
export interface Turns {
  of(inner: Session): Turn | undefined;
  /** Whether another run took the turn of this run before it wrote. */
  isLate(inner: Session, run: Run): boolean;
  /** Waits for the turn. */
  begin(run: Run, call: SessionCall, wait: number): Promise<Turn>;
  /**
   * From here on the run is inactive, until its next call or the next answer of a model. When it was inactive for `hold`, another
   * run may take the turn.
   */
  listen(inner: Session, turn: Turn, hold: number): void;
  wake(turn: Turn): void;
  end(inner: Session, turn: Turn): void;
  /** Ends the turn of a run that may still want to write. */
  lose(inner: Session, turn: Turn): void;
}

export function createTurns(): Turns {
  const turns = new WeakMap<Session, Turn>();
  /** Runs that lost their turn before they wrote. */
  const late = new WeakMap<Session, WeakSet<Run>>();
  const collected = new FinalizationRegistry<() => void>((over) => over());
  const line = createLine();

  function timeout(sessionId: string, wait: number): StrongroomError {
    return new StrongroomError(
      'ERR_TIMEOUT',
      `exclusive: another run has held session ${JSON.stringify(sessionId)} for longer than ${wait} ms. Try again later, or raise wait.`,
    );
  }

  async function begin(run: Run, call: SessionCall, wait: number): Promise<Turn> {
    const { inner, sessionId } = call;
    const deadline = performance.now() + wait;
    for (let other = turns.get(inner); other !== undefined; other = turns.get(inner)) {
      if (other.isSilent) lose(inner, other);
      else await line.ended(inner, deadline, () => timeout(sessionId, wait));
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
      hasAnswer: false,
      hasRemoved: false,
      calls: 0,
      ready: Promise.resolve(),
    };
    // Set synchronously: runs that begin during the query of the database wait for this one.
    turns.set(inner, turn);
    collected.register(run, () => end(inner, turn), turn);
    if (leases !== undefined) turn.ready = lock(turn, leases, call, wait, deadline);
    await turn.ready;
    return turn;
  }

  async function lock(
    turn: Turn,
    leases: SessionLeases,
    { inner, sessionId }: SessionCall,
    wait: number,
    deadline: number,
  ): Promise<void> {
    try {
      await acquire(turn, leases, wait, deadline, () => timeout(sessionId, wait));
    } catch (error) {
      turn.leases = undefined;
      end(inner, turn);
      throw error;
    }
    if (turns.get(inner) === turn) renewOften(turn);
    // It was ended meanwhile.
    else leases.release(turn.lease, turn.owner).catch(() => undefined);
  }

  function listen(inner: Session, turn: Turn, hold: number, last = signOf(turn.run.deref())): void {
    clearTimeout(turn.silence);
    turn.silence = setTimeout(() => {
      const sign = signOf(turn.run.deref());
      if (sign !== last) return listen(inner, turn, hold, sign);
      turn.isSilent = true;
      // Other processes can acquire the lock when it expires. Until then this run still has it.
      turn.stopRenewing?.();
      turn.stopRenewing = undefined;
      line.callNext(inner);
    }, hold);
    unref(turn.silence);
  }

  function end(inner: Session, turn: Turn): void {
    if (turns.get(inner) !== turn) return;
    turn.stopRenewing?.();
    clearTimeout(turn.silence);
    turns.delete(inner);
    collected.unregister(turn);
    turn.leases?.release(turn.lease, turn.owner).catch(() => undefined);
    line.callNext(inner);
  }

  function lose(inner: Session, turn: Turn): void {
    const run = turn.run.deref();
    if (run !== undefined) {
      const runs = late.get(inner) ?? new WeakSet();
      late.set(inner, runs.add(run));
    }
    end(inner, turn);
  }

  return {
    of: (inner) => turns.get(inner),
    isLate: (inner, run) => late.get(inner)?.has(run) === true,
    begin,
    listen: (inner, turn, hold) => listen(inner, turn, hold),
    wake(turn) {
      clearTimeout(turn.silence);
      if (!turn.isSilent) return;
      turn.isSilent = false;
      renewOften(turn);
    },
    end,
    lose,
  };
}

/** A value that changes with each answer of a model. */
function signOf(run: Run | undefined): string {
  return `${run?.usage?.requests} ${run?.usage?.totalTokens}`;
}
