import type { Fence, Leases } from './session-contract.ts';

/** What the database answers to a renewal. */
export interface RenewalOutcome {
  /** Whether the lease was still the owner's. */
  readonly answered: (kept: boolean) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Renews a lease three times in the time that it lasts, so that one renewal may fail. Does not keep the process alive.
 *
 * @param milliseconds How long the lease lasts.
 * @returns Ends the renewals.
 */
export function renewLease(
  leases: Leases,
  { lease, owner }: Fence,
  milliseconds: number,
  { answered, failed }: RenewalOutcome,
): () => void {
  const timer: unknown = setInterval(
    () => void leases.renew(lease, owner, milliseconds).then(answered, failed),
    milliseconds / 3,
  );
  unref(timer);
  return () => clearInterval(timer as Parameters<typeof clearInterval>[0]);
}

/** Some runtimes have numbers for timers. */
export function unref(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
}
