import type { AgentInputItem } from '@openai/agents';
import { lineageOf } from '../derived-id.ts';
import type { SessionLayer } from '../layer.ts';

/**
 * A branch shares the records of its beginning with the conversation, or with the branch that it was made from
 * (decision 85). Such a record was sealed for that session, its origin. The store states it beside the record, for
 * this package only: a copy of the record does not have it.
 */
const origins = new WeakMap<object, string>();

/** The session that the record was sealed for; `undefined`: the one that it was read from. */
export function recordOrigin(record: AgentInputItem): string | undefined {
  return origins.get(record);
}

/** The same record, with its origin. */
export function withOrigin<T extends AgentInputItem>(record: T, origin: string | undefined): T {
  if (origin !== undefined) origins.set(record, origin);
  return record;
}

/**
 * Whether the history of a session may begin with records of this origin. The database says what the origin is, so
 * the ids alone decide: the session is a branch, and the origin is its conversation or another branch of that.
 */
export function mayShare(sessionId: string, origin: string): boolean {
  const from = lineageOf(sessionId);
  const to = lineageOf(origin);
  return (
    from?.kind === 'branch' &&
    (origin === from.parent || (to?.kind === 'branch' && to.parent === from.parent))
  );
}

/** Layers that seal, and open records of other origins in the scope of these. */
const opening = new WeakSet<SessionLayer>();

export function withOrigins<L extends SessionLayer>(layer: L): L {
  opening.add(layer);
  return layer;
}

/** Whether the layers read records that were written for another session of the conversation. */
export function opensOrigins(layers: readonly SessionLayer[]): boolean {
  return layers.every((layer) => layer.seals !== true || opening.has(layer));
}
