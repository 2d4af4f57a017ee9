import type { CopyBeginning } from '../session-contract.ts';
import { createCopies } from './copies.ts';
import type { Parts } from './parts.ts';
import { createPrefix, type ReplacePrefixArgs } from './prefix.ts';
import type { CallsOf } from './rare-calls.ts';

/** What only sessions of our stores have, through the layers above them. */
export interface StoreMembers {
  readonly copy: CopyBeginning;
  readonly replacePrefix: (args: ReplacePrefixArgs) => Promise<void>;
}

export function createStoreMembers(parts: Parts, callsOf: CallsOf): StoreMembers {
  return { copy: createCopies(parts, callsOf), replacePrefix: createPrefix(parts, callsOf) };
}
