import './support/offline.ts';

// #region stack
import { Agent, run } from '@openai/agents';
import { wrapStore, redact, expire, cache, encrypt, keyring, trimHistory } from 'strongroom';
import { openSqlite } from 'strongroom/sqlite';

const agent = new Agent({ name: 'Assistant' });
const keys = keyring({ current: JSON.parse(process.env.STRONGROOM_KEY!) });

// One store, many sessions. Outermost layer first: as the data travels from run() to disk.
const sessions = wrapStore(openSqlite('conversations.db'), [
  redact({ entities: ['EMAIL_ADDRESS', 'CREDIT_CARD'] }),
  expire({ after: '30d' }),
  cache({ maxBytes: 64 * 2 ** 20 }),
  encrypt({ keys }),
]);

const result = await run(agent, 'Hello', {
  session: sessions.session('user-123'),
  sessionInputCallback: trimHistory({ maxTokens: 8_000 }),
});
console.log(result.finalOutput);
// #endregion

await sessions.close();
