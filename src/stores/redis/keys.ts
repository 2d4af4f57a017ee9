/** Keys of one session: one hash slot of a cluster, because what is in braces is hashed. */
export interface SessionKeys {
  /** The key of the list of this name (see `MOVED` in scripts.ts). */
  readonly items: (list: string) => string;
  readonly meta: string;
  readonly ops: string;
  readonly deks: string;
  readonly holds: string;
}

export function sessionKeys(prefix: string, sessionId: string): SessionKeys {
  const tag = `${prefix}:{${encodeURIComponent(sessionId)}}`;
  return {
    items: (list) => `${tag}:items:${list}`,
    meta: `${tag}:meta`,
    ops: `${tag}:ops`,
    deks: `${tag}:deks`,
    holds: `${tag}:holds`,
  };
}
