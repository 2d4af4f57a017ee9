import type { AgentInputItem } from '@openai/agents';
import { StatementSync } from 'node:sqlite';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { temporaryFolder } from './folder.ts';

const file = temporaryFolder();
afterEach(() => void vi.restoreAllMocks());

function messages(count: number, text: string = 'item'): AgentInputItem[] {
  return Array.from({ length: count }, (_, index) => ({
    type: 'message',
    role: 'user',
    content: `${text} ${index}`,
  }));
}

/** How many rows of items SQLite gives while `work` runs. */
async function rowsRead(work: () => Promise<unknown>): Promise<number> {
  // Called on the statement that the spy is called on.
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const { all } = StatementSync.prototype;
  let rows = 0;
  vi.spyOn(StatementSync.prototype, 'all').mockImplementation(function (this: StatementSync, ...values) {
    const found = all.apply(this, values);
    if (this.sourceSQL.includes('body')) rows += found.length;
    return found;
  });
  await work();
  vi.restoreAllMocks();
  return rows;
}

describe('a long history', () => {
  it('is read once, and its beginning again when another connection wrote since the last read', async () => {
    const path = file('long.db');
    await using store = openSqlite(path);
    await using other = openSqlite(path);
    const session = store.session('long');
    await session.addItems(messages(2_000));
    await session.getItems();
    expect(await rowsRead(() => session.getItems())).toBe(2_000);
    await session.addItems(messages(1));
    expect(await rowsRead(() => session.getItems())).toBe(2_001);
    await other.session('long').addItems(messages(1));
    const read = await session.getItems();
    expect(read).toEqual([...messages(2_000), ...messages(1), ...messages(1)]);
    await other.session('other').addItems(messages(1));
    expect(await rowsRead(() => session.getItems())).toBe(2_002 + 257);
    expect(await rowsRead(() => session.getItems())).toBe(2_002);
  });

  it.each([255, 256, 257, 258, 512, 513, 1_280, 1_281])(
    'of %i items is read completely and in order',
    async (count) => {
      const path = file(`${count}.db`);
      await using store = openSqlite(path);
      const session = store.session('s');
      await session.addItems(messages(count));
      for (let read = 0; read < 2; read++) expect(await session.getItems()).toEqual(messages(count));
      // A process that has seen nothing of the database yet.
      await using fresh = openSqlite(path);
      expect(await fresh.session('s').getItems()).toEqual(messages(count));
      await session.popItem();
      expect(await fresh.session('s').getItems()).toEqual(messages(count - 1));
    },
  );

  it('is read as one state while another process replaces it', async () => {
    const path = file('replaced.db');
    await using store = openSqlite(path);
    await using other = openSqlite(path);
    const session = store.session('s');
    await session.addItems(messages(3_000));
    const states = [messages(3_000)];
    for (let change = 0; change < 10; change++) {
      const next = messages(3_000, `change ${change}`);
      states.push(next);
      const changing = other.session('s').replaceHistoryWithCompaction(next);
      const seen = await session.getItems();
      expect(states).toContainEqual(seen);
      await changing;
      expect(await session.getItems()).toEqual(next);
    }
  });
});
