import type { RunContext } from '@openai/agents';
import type { LeaseName, SessionLeases } from '../../session-contract.ts';

export type Run = RunContext<unknown>;

/** The time in which one run has a session. */
export interface Turn {
  /** Weak: a run that failed is seen to be over when its context is gone. */
  readonly run: WeakRef<Run>;
  readonly owner: string;
  leases: SessionLeases | undefined;
  readonly lease: LeaseName;
  stopRenewing?: (() => void) | undefined;
  silence?: ReturnType<typeof setTimeout>;
  /** The next run that asks for the turn gets it. */
  isSilent: boolean;
  lost: boolean;
  /** Settles when the lock is there, or is not to be had. */
  ready: Promise<void>;
}
