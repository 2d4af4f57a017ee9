import type { BindingContext } from '../../crypto/derive.ts';
import type { SuiteName } from '../../crypto/suite.ts';
import { createIdentities } from '../../identities.ts';
import type { DekStore } from '../dek-store.ts';
import type { Keyring } from '../keyring.ts';
import type { DataKeyScope } from './types.ts';

/**
 * Names that include everything that identifies a data key; a cache with a key of fewer parts was a vulnerability
 * (CVE-2026-6550).
 */
export interface ScopeNames {
  epoch(scope: DataKeyScope, suite: SuiteName, place: DekStore | 'inline'): string;
  key(scope: DataKeyScope, suite: SuiteName, did: string, inline: string | undefined): string;
}

/** The last names in one context: calls of a session ask for the same ones, and a text that is there is not hashed again. */
interface LastNames {
  readonly ring: Keyring;
  readonly suite: SuiteName;
  readonly stores: readonly DekStore[];
  readonly name: string;
  epoch?: { readonly place: DekStore | 'inline'; readonly name: string };
  key?: { readonly did: string; readonly inline: string | undefined; readonly name: string };
}

export function createScopeNames(): ScopeNames {
  const identityOf = createIdentities();
  const lastNames = new WeakMap<BindingContext, LastNames>();

  function namesOf({ ring, context, stores }: DataKeyScope, suite: SuiteName): LastNames {
    const last = lastNames.get(context);
    if (last?.ring === ring && last.suite === suite && areSame(last.stores, stores)) return last;
    const identities = stores.map(identityOf).join(',');
    const name = `${identityOf(ring)}|${suite}|${context.name}|${identities}`;
    const names: LastNames = { ring, suite, stores, name };
    lastNames.set(context, names);
    return names;
  }

  return {
    epoch(scope, suite, place) {
      const names = namesOf(scope, suite);
      if (names.epoch?.place !== place) {
        const name = `${names.name}|${place === 'inline' ? place : identityOf(place)}`;
        names.epoch = { place, name };
      }
      return names.epoch.name;
    },
    key(scope, suite, did, inline) {
      const names = namesOf(scope, suite);
      if (names.key?.did !== did || names.key.inline !== inline) {
        names.key = { did, inline, name: `${names.name}|${did}|${inline ?? ''}` };
      }
      return names.key.name;
    },
  };
}

function areSame(one: readonly DekStore[], other: readonly DekStore[]): boolean {
  return one.length === other.length && one.every((store, index) => store === other[index]);
}
