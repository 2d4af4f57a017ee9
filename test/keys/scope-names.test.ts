import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { bindingContext } from '../../src/crypto/derive.ts';
import { SUITE_NAMES } from '../../src/crypto/suite.ts';
import { createScopeNames } from '../../src/keys/data-keys/scope-names.ts';
import type { DataKeyScope } from '../../src/keys/data-keys/types.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { memoryDekStore } from '../../src/keys/memory-dek-store.ts';

it('names a data key by all that identifies it, in whatever order names are asked for', async () => {
  const rings = [keyring({ current: await generateKey() }), keyring({ current: await generateKey() })];
  const contexts = [bindingContext('a'), bindingContext('b'), bindingContext('a', { tenant: 't' })];
  const [one, other] = [memoryDekStore(), memoryDekStore()];
  const stores = [[], [one], [other], [one, other], [other, one]];
  const places = ['inline', one, other] as const;
  const names = createScopeNames();
  const seen = new Map<string, string>();
  const asked = fc.record({
    ring: fc.nat(rings.length - 1),
    context: fc.nat(contexts.length - 1),
    stores: fc.nat(stores.length - 1),
    suite: fc.constantFrom(...SUITE_NAMES),
    place: fc.nat(places.length - 1),
    did: fc.constantFrom('d1', 'd2'),
    inline: fc.constantFrom(undefined, 'w1', 'w2'),
    ofEpoch: fc.boolean(),
  });
  fc.assert(
    fc.property(asked, (given) => {
      const { suite, did, inline, ofEpoch } = given;
      const scope = {
        ring: rings[given.ring],
        context: contexts[given.context],
        stores: [...(stores[given.stores] ?? [])],
      } as unknown as DataKeyScope;
      const place = places[given.place] ?? 'inline';
      const name = ofEpoch ? names.epoch(scope, suite, place) : names.key(scope, suite, did, inline);
      const { ring, context, stores: list } = given;
      const identity = JSON.stringify([ring, context, list, suite, ofEpoch ? given.place : [did, inline]]);
      expect(seen.get(name) ?? identity).toBe(identity);
      expect([...seen].find(([, of]) => of === identity)?.[0] ?? name).toBe(name);
      seen.set(name, identity);
    }),
    { numRuns: 1_000 },
  );
});
