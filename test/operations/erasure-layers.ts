import type { Session } from '@openai/agents';
import type { JWK } from 'jose';
import { derivedId } from '../../src/derived-id.ts';
import { cache, encrypt, expire, keyring, redact, type Layers } from '../../src/index.ts';
import type { Store } from '../../src/stores/store.ts';

/** The full stack of erasure-writer.ts and of the process that erases, with a vault that belongs to the conversation. */
export function erasureLayers(store: Store<Session>, key: JWK): Layers {
  return [
    redact({
      operators: { EMAIL_ADDRESS: { type: 'pseudonymize', key: new Uint8Array(32) } },
      vault: (id) => store.session(derivedId({ kind: 'vault', of: id }), { derived: true }),
    }),
    expire({ after: '30d' }),
    cache({ maxItems: 1_000 }),
    encrypt({ keys: keyring({ current: key }) }),
  ];
}
