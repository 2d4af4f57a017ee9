import { hostOf } from './cluster-address.ts';

/** The node to which a command is redirected. */
export interface Redirection {
  readonly target: string;
  /** The slot is moving: the next command goes to its current owner again. */
  readonly once: boolean;
}

/** Redis Cluster specification, *MOVED redirection* and *ASK redirection*. */
export function redirectionOf(error: unknown, address: string): Redirection | undefined {
  const found = error instanceof Error ? /^(MOVED|ASK) \d+ (\S+)/.exec(error.message) : null;
  if (found === null) return undefined;
  const [, kind, named = ''] = found;
  return { once: kind === 'ASK', target: named.startsWith(':') ? `${hostOf(address)}${named}` : named };
}

export function isDown(error: unknown): boolean {
  return error instanceof Error && /^(?:CLUSTERDOWN|LOADING|MASTERDOWN|READONLY)/.test(error.message);
}
