import { renewLease } from '../../renew-lease.ts';
import { lostTurnError, type SessionLeases } from '../../session-contract.ts';
import type { Turn } from './turn.ts';

/** A lock in the database ends this long after its process died. */
const LEASE_TIME = 15_000;

/** Takes the lock of the turn; throws what `timeout` makes when another one has it until the deadline. */
export async function acquire(
  { lease, owner }: Turn,
  leases: SessionLeases,
  wait: number,
  deadline: number,
  timeout: () => Error,
): Promise<void> {
  for (let pause = 5; ; pause = Math.min(pause * 2, 200)) {
    if (await leases.acquire(lease, owner, LEASE_TIME, wait)) break;
    if (performance.now() + pause > deadline) throw timeout();
    await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
  }
}

export function renewOften(turn: Turn): void {
  const { leases, lease, owner } = turn;
  if (leases === undefined) return;
  turn.stopRenewing ??= renewLease(leases, { lease, owner }, LEASE_TIME, {
    answered: (kept) => void (turn.lost ||= !kept),
    // The next renewal may succeed; if none does, the lease expires and a later renewal reports it.
    failed: () => undefined,
  });
}

/**
 * Runs `change`, which fails when another owner has the lock: a suspended process does not notice that time passed.
 */
export async function fenced<T>(turn: Turn, sessionId: string, change: () => Promise<T>): Promise<T> {
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
