import type { Session } from '@openai/agents';
import { getOrMake } from '../../get-or-make.ts';
import type { SessionCall } from '../../layer.ts';

/** One session in this process. */
export interface Activity {
  /** Its number in the names of its lists. */
  readonly session: number;
  /** A list of it was kept at some time. */
  hasLists: boolean;
  /** Counts mutations: a read in another generation may be outdated. */
  generation: number;
  /** Mutations in progress. */
  active: number;
}

export type ActivityOf = (call: SessionCall) => Activity;

export function createActivities(): ActivityOf {
  const activities = new WeakMap<Session, Activity>();
  let last = 0;
  return ({ inner }) =>
    getOrMake(activities, inner, () => ({ session: ++last, hasLists: false, generation: 0, active: 0 }));
}
