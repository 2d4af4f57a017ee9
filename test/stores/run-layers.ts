import type { JWK } from 'jose';
import { cache, encrypt, exclusive, expire, keyring, redact, type Layers } from '../../src/index.ts';

/** The full stack of the processes that talk to agents, and of whoever reads after them. */
export function runLayers(key: JWK): Layers {
  return [
    redact({ entities: ['EMAIL_ADDRESS'] }),
    exclusive({ wait: '60s' }),
    expire({ after: '30d' }),
    cache({ maxItems: 10_000 }),
    encrypt({ keys: keyring({ current: key }) }),
  ];
}
