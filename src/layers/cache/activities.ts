import type { Session } from '@openai/agents';
import { getOrMake } from '../../get-or-make.ts';
import type { SessionCall } from '../../layer.ts';

/** The changes of this process to one session. */
export interface Activity {
  /** Counts mutations: a read in another generation may be outdated. */
  generation: number;
  /** Mutations in progress. */
  active: number;
}

export type ActivityOf = (call: SessionCall) => Activity;

export function createActivities(): ActivityOf {
  const activities = new WeakMap<Session, Activity>();
  return ({ inner }) => getOrMake(activities, inner, () => ({ generation: 0, active: 0 }));
}
