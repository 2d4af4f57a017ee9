import type { RunContext } from '@openai/agents';
import type { LeaseName, SessionLeases } from '../../session-contract.ts';

export type Run = RunContext<unknown>;

/** The time in which one run has a session. */
export interface Turn {
  /** Weak: a failed run is detected when its context has been garbage-collected. */
  readonly run: WeakRef<Run>;
  readonly owner: string;
  leases: SessionLeases | undefined;
  readonly lease: LeaseName;
  stopRenewing?: (() => void) | undefined;
  silence?: ReturnType<typeof setTimeout>;
  /** The next run that asks for the turn gets it. */
  isSilent: boolean;
  lost: boolean;
  /** Whether a call of the run succeeded. A run that could not even read does not go on. */
  hasAnswer: boolean;
  /** Whether the run removed items. If its next write fails, it restores them. */
  hasRemoved: boolean;
  /** How many calls of the run are in progress. */
  calls: number;
  /** Settles when the lock was acquired, or could not be acquired. */
  ready: Promise<void>;
}
