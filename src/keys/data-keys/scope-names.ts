import type { SuiteName } from '../../crypto/suite.ts';
import { createIdentities } from '../../identities.ts';
import type { DekStore } from '../dek-store.ts';
import type { DataKeyScope } from './types.ts';

/**
 * Names that include everything that identifies a data key; a cache with a key of fewer parts was a vulnerability
 * (CVE-2026-6550).
 */
export interface ScopeNames {
  epoch(scope: DataKeyScope, suite: SuiteName, place: DekStore | 'inline'): string;
  key(scope: DataKeyScope, suite: SuiteName, did: string, inline: string | undefined): string;
}

export function createScopeNames(): ScopeNames {
  const identityOf = createIdentities();
  const nameOf = (scope: DataKeyScope, suite: SuiteName): string => {
    const stores = scope.stores.map(identityOf).join(',');
    return `${identityOf(scope.ring)}|${suite}|${scope.context.name}|${stores}`;
  };
  return {
    epoch: (scope, suite, place) =>
      `${nameOf(scope, suite)}|${place === 'inline' ? place : identityOf(place)}`,
    key: (scope, suite, did, inline) => `${nameOf(scope, suite)}|${did}|${inline ?? ''}`,
  };
}
