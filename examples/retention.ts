/** Retention: items older than the policy are hidden at once, and a job without any key deletes them. */
import { encrypt, expire, generateKey, keyring, wrapStore, type Layers } from 'strongroom';
import { openSqlite } from 'strongroom/sqlite';

const keys = keyring({ current: await generateKey() });
const DAY = 86_400_000;
let now = Date.parse('2026-01-01T00:00:00Z');
const clock = (): number => now; // only so that this example does not take a month

const store = openSqlite('conversations.db', { clock });
const policy = (after: '30d' | '7d'): Layers => [expire({ after, clock }), encrypt({ keys })];
const count = async (what: string, layers: Layers): Promise<void> => {
  const items = await wrapStore(store, layers).session('user-123').getItems();
  console.log(`${new Date(now).toISOString().slice(0, 10)}  ${what.padEnd(34)} ${items.length} visible`);
};

const thirtyDays = policy('30d');
await wrapStore(store, thirtyDays)
  .session('user-123')
  .addItems([{ role: 'user', content: 'Hello in January' }]);
now += 10 * DAY;
await wrapStore(store, thirtyDays)
  .session('user-123')
  .addItems([{ role: 'user', content: 'Hello ten days later' }]);

await count('policy of 30 days', thirtyDays);
// A shorter policy applies at once to stored items; a longer one revives nothing.
await count('policy of 7 days', policy('7d'));

now += 21 * DAY;
await count('policy of 30 days', thirtyDays);

// The job: it reads the times in the clear, authenticated headers, so it needs neither keys nor layers.
const { items, sessions } = await store.purgeExpired();
console.log(
  `${new Date(now).toISOString().slice(0, 10)}  purge: ${items} records of ${sessions} sessions deleted`,
);

await store.deleteSession('user-123');
await count('after deleteSession', thirtyDays);
await store.close();
