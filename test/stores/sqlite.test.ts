import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Agent, Runner, tool, type AgentInputItem } from '@openai/agents';
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { carrierOf, formatEnvelope, formatHeader } from '../../src/protocol/envelope.ts';
import { sqliteDekStore } from '../../src/stores/sqlite-dek-store.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { recordedConversations } from '../support/conversations-data.ts';
import { temporaryFolder } from './folder.ts';
import { DEK_STORE, OPERATIONS } from '../../src/session-contract.ts';

const file = temporaryFolder();

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

describe('openSqlite', () => {
  test('refuses options that cannot work, before it opens anything', () => {
    const invalid = expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error;
    expect(() => openSqlite('')).toThrow(invalid);
    expect(() => openSqlite(7 as never)).toThrow("path must be the name of a file, or ':memory:'");
    expect(() => openSqlite(file('x.db'), { durability: 'best' as never })).toThrow("'normal' or 'full'");
    expect(() => openSqlite(file('x.db'), { busyTimeout: 'soon' as never })).toThrow(invalid);
    expect(() => openSqlite(file('x.db'), { operationLog: 0 })).toThrow(invalid);
    expect(() => openSqlite(file('x.db'), { wal: false } as never)).toThrow('unknown option "wal"');
    expect(existsSync(file('x.db'))).toBe(false);
  });

  test('connects at the first call, and makes a file that only its owner can read', async () => {
    const path = file('lazy.db');
    const store = openSqlite(path);
    store.session('a');
    expect(existsSync(path)).toBe(false);
    await store.session('a').addItems([message('hello')]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
    await store.close();
    await using again = openSqlite(path);
    expect(await again.session('a').getItems()).toEqual([message('hello')]);
  });

  test('serves an agent through the real runner, with tools, and returns its history unchanged', async () => {
    const model = new ScriptedModel([
      [functionCall('weather', { city: 'Bern' }, { callId: 'call_1' })],
      [assistantMessage('Sunny.')],
      [assistantMessage('As I said: sunny.')],
    ]);
    const weather = tool({
      name: 'weather',
      description: 'The weather.',
      parameters: z.object({ city: z.string() }),
      execute: ({ city }) => Promise.resolve(`sun over ${city}`),
    });
    const agent = new Agent({ name: 'Guide', model, tools: [weather] });
    const runner = new Runner({ tracingDisabled: true });
    const path = file('runner.db');
    const first = openSqlite(path);
    await runner.run(agent, 'How is the weather?', { session: first.session('user-1') });
    await first.close();
    await using second = openSqlite(path);
    const session = second.session('user-1');
    const result = await runner.run(agent, 'Really?', { session });
    expect(result.finalOutput).toBe('As I said: sunny.');
    expect((await session.getItems()).map((item) => item.type)).toEqual([
      'message',
      'function_call',
      'function_call_result',
      'message',
      'message',
      'message',
    ]);
    expect(model.lastCall?.request.input).toHaveLength(5);
  });

  test('keeps bytes inside items', async () => {
    await using store = openSqlite(':memory:');
    const item = {
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_image', image: new Uint8Array([0, 255, 7]), providerData: { $bytes: 'text' } },
      ],
    } as unknown as AgentInputItem;
    await store.session('a').addItems([item]);
    expect(await store.session('a').getItems()).toEqual([item]);
  });

  test('remembers as many operations as the option says', async () => {
    await using store = openSqlite(':memory:', { operationLog: 3 });
    const session = store.session('a');
    for (const operationId of ['1', '2', '3', '4']) {
      await session.applyHistoryTransaction({
        operationId,
        transaction: { type: 'append_items', items: [] },
      });
    }
    const log = session[OPERATIONS];
    expect(await Promise.all(['1', '2', '3', '4'].map((id) => log.has(id)))).toEqual([
      false,
      true,
      true,
      true,
    ]);
  });

  test.each(['file:a.db', 'file:///a.db?mode=ro', 'FILE:a.db?immutable=1'])('takes no URI: %s', (path) => {
    for (const open of [openSqlite, sqliteDekStore]) {
      expect(() => open(path)).toThrow(
        expect.objectContaining({
          code: 'ERR_INVALID_OPTION',
          message: expect.stringContaining('path must be the name of a file, or') as string,
        }),
      );
    }
  });

  test('uses its clock for items without a time of their own', async () => {
    const clock = fakeClock(Date.UTC(2030, 0, 1));
    await using store = openSqlite(':memory:', { clock });
    const session = store.session('a');
    await session.addItems([message('old')]);
    clock.advance('10d');
    await session.addItems([message('new')]);
    expect(await store.purgeExpired({ after: '10d' })).toEqual({ items: 1, sessions: 1 });
    // Rewriting an item does not extend its life.
    await session.replaceHistoryWithCompaction([message('summary of new')]);
    clock.advance('5d');
    await session.replaceHistoryWithCompaction([message('summary of the summary')]);
    clock.advance('5d');
    expect(await store.purgeExpired({ after: '10d' })).toEqual({ items: 1, sessions: 1 });
    expect(await session.getItems()).toEqual([]);
  });

  test('takes at most 1.8 times the JSON for sealed conversations', async () => {
    const recorded = recordedConversations();
    if (recorded === undefined) return;
    const path = file('size.db');
    const store = openSqlite(path);
    let json = 0;
    for (const { id, items } of recorded) {
      const did = createHash('sha256').update(id).digest('base64url');
      const session = store.session(id);
      const wrapped = 'w'.repeat(286);
      await session[DEK_STORE].put({
        sessionId: id,
        did,
        kid: 'key-1',
        wrapped,
        createdAt: 1_795_000_000_000,
      });
      for (const item of items) {
        const bytes = Buffer.byteLength(JSON.stringify(item));
        json += bytes;
        const header = formatHeader({ s: 'XC20P', d: did, t: 1_795_000_000_000, e: 1_798_000_000_000 });
        await session.addItems([carrierOf(formatEnvelope(header, Buffer.alloc(bytes + 40, 0x5a)))]);
      }
    }
    await store.close();
    expect(statSync(path).size / json).toBeLessThan(1.8);
  });
});

describe('openSqlite, when something is wrong with the file', () => {
  test('refuses a schema of a newer version and changes nothing', async () => {
    const path = file('newer.db');
    const store = openSqlite(path);
    await store.session('a').addItems([message('hello')]);
    await store.close();
    const database = new DatabaseSync(path);
    database.exec('INSERT INTO strongroom_schema (version) VALUES (99)');
    database.close();
    const before = readFileSync(path);
    await using newer = openSqlite(path);
    await expect(newer.session('a').getItems()).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringContaining('the database has schema version 99') as string,
    });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('names a file that is no database, a folder that is missing and a damaged row', async () => {
    writeFileSync(
      file('text.db'),
      'This is a text file, and a long one, so that SQLite reads a header. '.repeat(20),
    );
    await using text = openSqlite(file('text.db'));
    await expect(text.ping()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('the file is not an SQLite database') as string,
      cause: expect.any(Error) as Error,
    });

    await using missing = openSqlite(file('no/such/folder.db'));
    await expect(missing.session('a').getItems()).rejects.toMatchObject({ code: 'ERR_STORE' });

    const path = file('damaged.db');
    await using store = openSqlite(path);
    const session = store.session('a');
    await session.addItems([message('one'), message('two')]);
    const database = new DatabaseSync(path);
    database.exec(`UPDATE strongroom_items SET body = '{"type' WHERE seq = 1`);
    database.close();
    await expect(session.getItems()).rejects.toMatchObject({
      code: 'ERR_MALFORMED',
      message: expect.stringContaining('A record of session "a" is damaged') as string,
    });
    await expect(session.popItem()).rejects.toMatchObject({ code: 'ERR_MALFORMED' });
    await expect(session.getItems()).rejects.toMatchObject({ code: 'ERR_MALFORMED' });
  });

  test('names a database that it may not write', async () => {
    const path = file('not-mine.db');
    const store = openSqlite(path);
    await store.session('a').addItems([message('before')]);
    await store.close();
    chmodSync(path, 0o400);
    // The administrator may write everything.
    const administrator = process.geteuid?.() === 0;
    if (administrator) process.seteuid?.(65_534);
    try {
      await using readOnly = openSqlite(path);
      await expect(readOnly.session('a').addItems([message('never')])).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringContaining(
          'the database file cannot be opened: check that its folder exists',
        ) as string,
      });
    } finally {
      if (administrator) process.seteuid?.(0);
    }
    chmodSync(path, 0o600);
    await using again = openSqlite(path);
    expect(await again.session('a').getItems()).toEqual([message('before')]);
  });

  test('waits for the lock of another process without blocking this one, and gives up in time', async () => {
    const path = file('locked.db');
    await using patient = openSqlite(path, { busyTimeout: '30s' });
    await using hasty = openSqlite(path, { busyTimeout: 60 });
    const session = patient.session('a');
    await session.addItems([message('before')]);
    expect(await hasty.session('a').getItems()).toEqual([message('before')]);
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    const first = session.addItems([message('first')]);
    const second = patient.session('b').addItems([message('second')]);
    // While those wait, this process can begin a call, wait for its end, and end the transaction.
    await expect(hasty.session('a').addItems([message('never')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining(
        'the database stayed locked by another process for 60 ms. Nothing was written.',
      ) as string,
    });
    expect(await hasty.session('a').getItems()).toEqual([message('before')]);
    other.exec('COMMIT');
    other.close();
    await Promise.all([first, second]);
    expect(await session.getItems()).toEqual([message('before'), message('first')]);
    expect(await patient.session('b').getItems()).toEqual([message('second')]);
  });
});
