import type { AgentInputItem } from '@openai/agents';
import { isWellFormed } from '../crypto/encoding.ts';
import { checkOptions, invalidOption, parseCount } from '../options.ts';
import { snapshotItems } from './snapshot-items.ts';

/**
 * The limit of `getItems()`: `undefined` for all items, also given as `Infinity`; zero and less read nothing, as in
 * the SDK's own session.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for what is no whole number.
 */
export function readLimit(limit: unknown): number | undefined {
  if (limit === undefined || limit === Number.POSITIVE_INFINITY) return undefined;
  if (limit === Number.NEGATIVE_INFINITY) return 0;
  if (!Number.isInteger(limit)) return invalidOption('getItems', 'limit', 'a whole number', limit);
  return Math.max(limit as number, 0);
}

/** The arguments of `replacePrefix()` of a session of a store or of a wrapped one. */
export interface PrefixArguments {
  readonly count: number;
  readonly digest: string;
  readonly operationId: string;
  readonly replacement: AgentInputItem[];
  /** Not checked: the allowed values differ. */
  readonly archiveTo: unknown;
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION`; `ERR_INVALID_ITEM` for an item that cannot be stored. */
export function readPrefixArguments(args: unknown, maxItemBytes: number = Infinity): PrefixArguments {
  const where = 'replacePrefix';
  checkOptions(where, args, ['count', 'digest', 'replacement', 'operationId', 'archiveTo']);
  const { digest, operationId, replacement, archiveTo, ...rest } = args as Record<string, unknown>;
  const count = parseCount(where, 'count', rest['count']);
  if (typeof digest !== 'string') {
    return invalidOption(where, 'digest', 'the historyDigest of the items', digest);
  }
  if (typeof operationId !== 'string' || operationId.trim() === '' || !isWellFormed(operationId)) {
    return invalidOption(where, 'operationId', 'a non-empty string of well-formed Unicode', operationId);
  }
  if (!Array.isArray(replacement)) {
    return invalidOption(where, 'replacement', 'an array of items', replacement);
  }
  return { count, digest, operationId, replacement: snapshotItems(replacement, maxItemBytes), archiveTo };
}
