import type { LeaseName } from '../../session-contract.ts';

/** Keys of one session: one hash slot of a cluster, because only the part in braces is hashed. */
export interface SessionKeys {
  /** The key of the list of this name (see `MOVED` in scripts.ts). */
  readonly items: (list: string) => string;
  readonly meta: string;
  readonly ops: string;
  readonly deks: string;
  readonly holds: string;
  /** The lease of the run that has the session: in its slot, so that changes of the session can check it. */
  readonly turn: string;
}

/** The derived sessions of a conversation, by id: a sorted set. */
export function treeKey(prefix: string, root: string): string {
  return `${prefix}:tree:${root}`;
}

/** A lease is a key with a time to live. */
export function leaseKey(prefix: string, name: LeaseName): string {
  return name.startsWith('session ')
    ? sessionKeys(prefix, name.slice('session '.length)).turn
    : `${prefix}:{lease:${encodeURIComponent(name)}}`;
}

export function sessionKeys(prefix: string, sessionId: string): SessionKeys {
  const tag = `${prefix}:{${encodeURIComponent(sessionId)}}`;
  return {
    items: (list) => `${tag}:items:${list}`,
    meta: `${tag}:meta`,
    ops: `${tag}:ops`,
    deks: `${tag}:deks`,
    holds: `${tag}:holds`,
    turn: `${tag}:turn`,
  };
}
