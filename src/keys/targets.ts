import type { Session } from '@openai/agents';
import { invalidOption } from '../options.ts';
import type { Store } from '../stores/store.ts';
import type { DekStore } from './dek-store.ts';

/** A wrapped store, or one wrapped session. */
export type SealedTarget = Store | Session;

export function isStore(value: unknown): value is Store {
  return typeof (value as Store | null)?.sessions === 'function';
}

export function isDekStore(value: unknown): value is DekStore {
  return typeof (value as DekStore | null)?.replaceWrapped === 'function';
}

/** The sessions of a store, or the one session. */
export async function* sessionsOf(where: string, target: SealedTarget): AsyncIterable<Session> {
  if (isStore(target)) {
    for await (const { id } of target.sessions()) yield target.session(id);
    return;
  }
  if (typeof target !== 'object' || target === null || typeof target.getItems !== 'function') {
    invalidOption(where, 'target', 'a wrapped session or a wrapped store', target);
  }
  yield target;
}
