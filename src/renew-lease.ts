import type { Fence, Leases } from './session-contract.ts';

/** Handlers for the result of a renewal. */
export interface RenewalOutcome {
  /** Called with whether the owner still had the lease. */
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

/** In some runtimes a timer is a number. */
export function unref(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
}
