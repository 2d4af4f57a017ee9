import type { AgentInputItem } from '@openai/agents';
import type { SuiteName } from '../../crypto/suite.ts';
import { StrongroomError } from '../../errors.ts';
import type { DataKeys } from '../../keys/data-keys.ts';
import type { DataKey, DataKeyScope } from '../../keys/data-keys/types.ts';
import { recordOrigin } from '../../protocol/record-origin.ts';
import type { KeyReference } from './record.ts';
import { isUndecryptable, type Failure } from './undecryptable.ts';

/** How many data keys one read loads at a time. */
const PARALLEL_KEYS = 16;

/** A data key that a read needs, and the session that has it where that is another one. */
export interface WantedKey {
  readonly reference: KeyReference;
  readonly origin: string | undefined;
}

/** Of a record or an entry. */
export function wantedKey(reference: KeyReference, record: AgentInputItem | undefined): WantedKey {
  return { reference, origin: record && recordOrigin(record) };
}

/** The data key of a record in the scope of its session. */
export function openingIn(
  dataKeys: DataKeys,
  scope: DataKeyScope,
  { reference: { header, wrapped }, origin }: WantedKey,
): Promise<DataKey> {
  const open = (own: DataKeyScope): Promise<DataKey> =>
    dataKeys.opening(own, header.s as SuiteName, header.d as string, wrapped);
  return origin === undefined ? open(scope) : Promise.resolve(scope.of(origin)).then(open);
}

/** The data keys of one read by {@link keyOf}, or the failure. */
export type FoundKeys = ReadonlyMap<string, DataKey | Failure>;

/**
 * The data keys of these envelopes or their failures, loaded a few at a time. After a failure that `stops`, later
 * ones are omitted; all earlier ones are included.
 */
export async function openKeys(
  dataKeys: DataKeys,
  maxPerRead: number,
  scope: DataKeyScope,
  wanted: ReadonlyMap<string, WantedKey>,
  stops: (failure: StrongroomError) => boolean,
): Promise<FoundKeys> {
  if (wanted.size > maxPerRead) throw tooManyKeys(scope.sessionId, wanted.size, maxPerRead);
  let stopped = false;
  const found = new Map<string, DataKey | Failure>();
  // One iterator for all workers.
  const queue = wanted.entries();
  let failed: unknown;
  const worker = async (): Promise<void> => {
    for (const [name, key] of queue) {
      if (failed !== undefined || stopped) return;
      try {
        found.set(name, await openingIn(dataKeys, scope, key));
      } catch (error) {
        if (isUndecryptable(error)) {
          found.set(name, { failure: error });
          stopped ||= stops(error);
        } else failed ??= error ?? new Error('rejected without a reason');
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_KEYS, wanted.size) }, worker));
  if (failed !== undefined) {
    releaseAll(dataKeys, found);
    throw failed;
  }
  return found;
}

export function releaseAll(dataKeys: DataKeys, found: FoundKeys): void {
  for (const key of found.values()) if (!('failure' in key)) dataKeys.release(key);
}

function tooManyKeys(sessionId: string, count: number, most: number): StrongroomError {
  return new StrongroomError(
    'ERR_UNSUPPORTED',
    `Reading session ${JSON.stringify(sessionId)} takes ${count} data keys, more than dataKeys.maxPerRead (${most}). ` +
      'Read a part of it with getItems(limit), run reencrypt() over it, or raise dataKeys.maxPerRead.',
  );
}
