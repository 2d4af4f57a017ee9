import type { Session } from '@openai/agents';
import { expect, it } from 'vitest';
import { encrypt, generateKey, keyring, wrapSession } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { user } from '../history/support/random-history.ts';

const keys = keyring({ current: await generateKey() });

it('does not take an operation for its own that another process applied with other items while it looked', async () => {
  const store = openSqlite(':memory:');
  const bare = store.session('chat');
  const other = wrapSession(bare, [encrypt({ keys })]);
  const append = (session: Session, text: string): Promise<void> =>
    (session as typeof other).applyHistoryTransaction({
      operationId: 'same',
      transaction: { type: 'append_items', items: [user(text)] },
    });
  let isFirst = true;
  const slow: typeof bare = {
    ...bare,
    async getItems(limit) {
      const items = await bare.getItems(limit);
      if (isFirst) {
        isFirst = false;
        await append(other, 'of the other');
      }
      return items;
    },
  };
  await expect(append(wrapSession(slow, [encrypt({ keys })]), 'mine')).rejects.toMatchObject({
    code: 'ERR_CONFLICT',
  });
  expect(await other.getItems()).toEqual([user('of the other')]);
  await store.close();
});
