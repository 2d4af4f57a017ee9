import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { MAINTENANCE } from '../../src/session-contract.ts';
import type { Store } from '../../src/index.ts';
import { linesOf } from '../support/built-cli.ts';
import { CANARY, configOf, endedAndRepeated, filledProject, manySessions } from '../support/cli-project.ts';

const DAY = 86_400_000;

async function idsOf(store: Store): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of store.sessions()) ids.push(id);
  return ids;
}

describe('strongroom purge', () => {
  it('says what the rules would delete, and deletes it when that is confirmed', async () => {
    const project = await filledProject({ one: 3, two: 2 }, { at: Date.now() - 31 * DAY });
    const planned = await project.run(['purge', '--dry-run']);
    expect(linesOf(planned.stdout)).toMatchObject([
      { event: 'result', dryRun: true, expired: { items: 5, sessions: 2 }, deleted: 0, held: 0 },
    ]);
    expect((await project.run(['purge'])).code).toBe(4);
    expect(await idsOf(project.store)).toEqual(['one', 'two']);
    const asked = project.terminal(['purge']);
    await asked.shows('This deletes 5 expired items of 2 sessions, 0 whole sessions');
    asked.type('purge\r');
    const { code, stdout } = await asked.finished;
    expect(code).toBe(0);
    expect(stdout).toContain('[####################] 5 of 5 deletions · ');
    expect(stdout).toContain('Deleted 5 expired items of 2 sessions');
    expect(await idsOf(project.store)).toEqual([]);
  });

  it('finishes when it is started again after Ctrl-C, with the progress of what was left', async () => {
    const project = await filledProject(manySessions(8, 1), {
      at: Date.now() - 100 * DAY,
      rest: `retention: { maxIdle: '90d' },`,
    });
    const { ended, repeated } = await endedAndRepeated(project, ['purge', '--yes'], {
      kind: 'retention',
      at: 4,
      by: 'SIGINT',
    });
    expect(ended.code).toBe(130);
    expect(repeated.code).toBe(0);
    const [result] = linesOf(repeated.stdout) as { deleted: number }[];
    expect(result?.deleted).toBeGreaterThan(3);
    expect(result?.deleted).toBeLessThan(8);
    expect(linesOf(repeated.stderr).at(-1)).toMatchObject({ done: result?.deleted, total: result?.deleted });
    expect(await idsOf(project.store)).toEqual([]);
  });

  it('finishes when it is started again after it was killed, once the lock of the dead process has expired', async () => {
    const project = await filledProject(manySessions(8, 1), {
      at: Date.now() - 100 * DAY,
      rest: `retention: { maxIdle: '90d' },`,
    });
    const env = { END_KIND: 'retention', END_AT: '4', END_BY: 'SIGKILL' };
    expect((await project.run(['purge', '--yes'], { env })).signal).toBe('SIGKILL');
    const left = (await idsOf(project.store)).length;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(8);

    const repeated = project.terminal(['purge', '--yes']);
    await repeated.shows('Another process is running the rules, or died less than a minute ago. Waiting …');
    expect(await idsOf(project.store)).toHaveLength(left);
    // The minute passes: the end of the lock is in the database, by the monotonic clock of the machine.
    const database = new DatabaseSync(project.path('conversations.db'));
    const moved = database
      .prepare(`UPDATE strongroom_leases SET expires_at = expires_at - 60000 WHERE name = 'job retention'`)
      .run();
    database.close();
    expect(moved.changes).toBe(1);

    const { code, stdout } = await repeated.finished;
    expect(code).toBe(0);
    expect(stdout).toContain(`[####################] ${left} of ${left} deletions · `);
    expect(stdout).toContain(`${left} whole sessions`);
    expect(await idsOf(project.store)).toEqual([]);
  });

  it('waits for another process that runs the rules', async () => {
    const project = await filledProject({ one: 1 }, { at: Date.now() - 31 * DAY });
    const leases = project.store[MAINTENANCE]?.leases;
    // Longer than the test: only its release lets the command go on.
    await leases?.acquire('job retention', 'another', 600_000);
    const running = project.terminal(['purge', '--yes']);
    await running.shows('Another process is running the rules, or died less than a minute ago. Waiting …');
    expect(await idsOf(project.store)).toEqual(['one']);
    await leases?.release('job retention', 'another');
    expect(await running.finished).toMatchObject({ code: 0 });
    expect(await idsOf(project.store)).toEqual([]);
  });

  it('reports sessions under a hold, and needs no key', async () => {
    const project = await filledProject(
      { one: 1 },
      {
        at: Date.now() - 100 * DAY,
        rest: `retention: { maxAge: '90d' },`,
        keys: `{ current: { env: 'NO_SUCH' } }`,
      },
    );
    await project.run(['hold', 'one', '--reason', 'case 7']);
    const { code, stdout } = await project.run(['purge', '--yes']);
    expect(code).toBe(3);
    expect(linesOf(stdout)).toMatchObject([
      { event: 'held', id: 'one' },
      { event: 'result', deleted: 0, held: 1 },
    ]);
  });
});

describe('strongroom purge --dry-run', () => {
  it('counts no item that a hold keeps', async () => {
    const project = await filledProject({ one: 3, two: 3 }, { rest: `retention: { keepLast: 1 },` });
    await project.run(['hold', 'one', '--reason', 'case 7']);
    const { code, stdout } = await project.run(['purge', '--dry-run']);
    expect(code).toBe(3);
    expect(linesOf(stdout)).toMatchObject([
      { event: 'held', id: 'one' },
      { event: 'result', trimmed: { items: 2, sessions: 1 }, held: 1 },
    ]);
  });
});

describe('strongroom hold and release', () => {
  it('place, list and release a hold under the name of the caller', async () => {
    const project = await filledProject({ one: 1 });
    const placed = await project.run([
      'hold',
      'one',
      '--reason',
      'case 7',
      '--id',
      'h1',
      '--actor',
      'counsel',
    ]);
    expect(linesOf(placed.stdout)).toMatchObject([
      { event: 'hold', id: 'h1', sessionId: 'one', reason: 'case 7', placedBy: 'counsel' },
    ]);
    const listed = await project.terminal(['holds']).finished;
    expect(listed.stdout).toMatch(/^h1 {2}on one · [-\d]+ [:\d]+ by counsel · case 7\r\n$/);
    const held = await project.run(['erase', '--session', 'one', '--yes']);
    expect(held.code).toBe(3);
    expect(linesOf(held.stdout)).toMatchObject([
      { event: 'held', id: 'one' },
      { event: 'result', held: 1 },
    ]);
    const asked = project.terminal(['release', 'h1']);
    await asked.shows('Type h1 to go on:');
    asked.type('h1\r');
    expect(await asked.finished).toMatchObject({ code: 0 });
    expect(linesOf((await project.run(['holds'])).stdout)).toEqual([]);
    expect(linesOf((await project.run(['holds', '--all'])).stdout)).toMatchObject([{ id: 'h1' }]);
  });

  it('work with and without a terminal', async () => {
    const project = await filledProject({ one: 1 });
    const placed = await project.terminal(['hold', 'one', '--reason', 'case 8', '--id', 'h2']).finished;
    expect(placed).toMatchObject({ code: 0, stdout: 'Placed the hold h2 on one.\r\n' });
    expect((await project.run(['release', 'h2'])).code).toBe(4);
    expect(linesOf((await project.run(['release', 'h2', '--dry-run'])).stdout)).toEqual([
      { event: 'would', id: 'h2' },
    ]);
    expect(linesOf((await project.run(['holds'])).stdout)).toMatchObject([{ id: 'h2' }]);
    const released = await project.run(['release', 'h2', '--yes', '--actor', 'counsel']);
    expect(linesOf(released.stdout)).toMatchObject([{ event: 'release', id: 'h2', releasedBy: 'counsel' }]);
  });
});

describe('strongroom erase', () => {
  it('erases a subject with a signed receipt, which receipt verify checks, also against the store', async () => {
    const project = await filledProject(
      { one: 2, two: 1 },
      { subject: 'person-7', rest: `receiptKey: { file: 'signing.json' },` },
    );
    await project.run(['keygen', '--receipt', '--out', 'signing.json', '--public-out', 'public.json']);
    const planned = await project.run(['erase', '--subject', 'person-7', '--dry-run']);
    expect(linesOf(planned.stdout)).toEqual([
      { event: 'would', id: 'one' },
      { event: 'would', id: 'two' },
      { event: 'sum', sessions: 2, items: 3, held: false },
    ]);
    const asked = project.terminal([
      'erase',
      '--subject',
      'person-7',
      '--reason',
      'request',
      '--receipt',
      'r.jws',
    ]);
    await asked.shows('This erases 2 sessions of subject person-7 with 3 items for good.');
    asked.type('person-7\r');
    const { code, stdout } = await asked.finished;
    expect(code).toBe(0);
    expect(stdout).toContain('Erased 2 sessions with 3 items and 2 data keys. The receipt is in r.jws.');
    expect(await idsOf(project.store)).toEqual([]);

    const verified = await project.run(['receipt', 'verify', 'r.jws', '--key', 'public.json', '--search']);
    expect(verified.code).toBe(0);
    expect(linesOf(verified.stdout)).toMatchObject([
      { event: 'receipt', subject: 'person-7', reason: 'request', sessions: 2 },
      { event: 'result', orphans: 0 },
    ]);
    const other = await project.terminal([
      'receipt',
      'verify',
      'r.jws',
      '--key',
      'public.json',
      '--subject',
      'person-8',
    ]).finished;
    expect(other.code).toBe(1);
    expect(other.stdout).toContain('ERR_AUTHENTICATION');
    expect(other.stdout).not.toContain((JSON.parse(await project.read('signing.json')) as { d: string }).d);
  });

  it('finishes when it is started again after it was killed', async () => {
    const project = await filledProject(manySessions(8, 2), { subject: 'person-7' });
    const { ended, repeated } = await endedAndRepeated(project, ['erase', '--subject', 'person-7', '--yes'], {
      kind: 'eraseSubject',
      at: 4,
      by: 'SIGKILL',
    });
    expect(ended.signal).toBe('SIGKILL');
    expect(await idsOf(project.store)).toEqual([]);
    expect(repeated.code).toBe(0);
    expect(linesOf(repeated.stdout).at(-1)).toMatchObject({ event: 'result', sessions: 8, orphans: 0 });
    expect(linesOf(repeated.stderr).at(-1)).toMatchObject({ unit: 'conversations', done: 5 });
    for await (const key of project.store[MAINTENANCE]?.dekStore.list() ?? []) expect(key.wrapped).toBe('');
  });

  it('erases nothing when the receipt cannot be written, and needs no key for a receipt that nobody asked for', async () => {
    const project = await filledProject({ one: 1 }, { rest: `receiptKey: { file: 'signing.json' },` });
    await project.run(['keygen', '--receipt', '--out', 'signing.json']);
    const erasing = ['erase', '--session', 'one', '--yes'];
    const { code, stderr } = await project.run([...erasing, '--receipt', 'nowhere/r.jws']);
    expect(code).toBe(2);
    expect(linesOf(stderr).at(-1)).toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/^The file nowhere\/r\.jws.* cannot be written \(ENOENT\)\./) as string,
    });
    expect(await idsOf(project.store)).toEqual(['one']);
    await rm(project.path('signing.json'));
    expect(await project.run(erasing)).toMatchObject({ code: 0 });
    expect(await idsOf(project.store)).toEqual([]);
  });

  it('leaves no draft of a receipt when it is killed and repeated, and none of other files is touched', async () => {
    const project = await filledProject(manySessions(4, 1), {
      subject: 'person-7',
      rest: `receiptKey: { file: 'signing.json' },`,
    });
    await project.run(['keygen', '--receipt', '--out', 'signing.json']);
    const others = [
      'r.jws.new',
      'r.jws.1x.abc.new',
      `r.jws.${process.pid}.alive.new`,
      'other.jws.999999999.abc.new',
    ];
    for (const name of others) await project.write(name, '');
    // The erasure was done, and its receipt had no name yet.
    await project.write('r.jws.999999999.done.new', 'a receipt');
    const { ended, repeated } = await endedAndRepeated(
      project,
      ['erase', '--subject', 'person-7', '--yes', '--receipt', 'r.jws'],
      { kind: 'eraseSubject', at: 3, by: 'SIGKILL' },
    );
    expect(ended.signal).toBe('SIGKILL');
    expect(repeated.code).toBe(0);
    const names = (await readdir(project.folder)).filter((name) => name.includes('.jws')).toSorted();
    expect(names).toEqual([...others, 'r.jws', 'r.jws.999999999.done.new'].toSorted());
    expect(await project.read('r.jws.999999999.done.new')).toBe('a receipt');
    expect(linesOf(repeated.stderr)).toContainEqual({
      event: 'warning',
      code: 'RECEIPT_LEFT',
      message: expect.stringContaining('has left its receipt in r.jws.999999999.done.new.') as string,
    });
  });

  it('prints the receipt when its place is lost during the erasure', async () => {
    const project = await filledProject({ one: 1 }, { rest: `receiptKey: { file: 'signing.json' },` });
    await project.run(['keygen', '--receipt', '--out', 'signing.json', '--public-out', 'public.json']);
    await mkdir(project.path('out'));
    const layers = `{ name: 'thief', async around(call, next) {
      if (call.kind === 'deleteSession') (await import('node:fs')).rmSync('out', { recursive: true, force: true });
      return next();
    } }, expire({ after: '30d' }), encrypt({ keys })`;
    await project.write(
      'strongroom.config.mjs',
      configOf({ layers, rest: `receiptKey: { file: 'signing.json' },` }),
    );
    const { code, stdout } = await project.run([
      'erase',
      '--session',
      'one',
      '--yes',
      '--receipt',
      'out/r.jws',
    ]);
    expect(code).toBe(1);
    const [printed, result] = linesOf(stdout);
    expect(result).toMatchObject({ event: 'result', sessions: 1 });
    await project.write('r.jws', printed?.['receipt'] as string);
    const verified = await project.run(['receipt', 'verify', 'r.jws', '--key', 'public.json']);
    expect(linesOf(verified.stdout)).toMatchObject([{ event: 'receipt', sessionId: 'one' }]);
  });

  it('refuses a receipt before it erases anything, when nothing can sign it', async () => {
    const project = await filledProject({ one: 1 });
    const { code, stderr } = await project.run(['erase', '--session', 'one', '--receipt', 'r.jws', '--yes']);
    expect(code).toBe(2);
    expect(stderr).toContain('--receipt needs receiptKey in the configuration');
    expect(await idsOf(project.store)).toEqual(['one']);
  });
});

describe('strongroom shred', () => {
  it('destroys the data keys of a session', async () => {
    const project = await filledProject({ one: 2, two: 1 });
    const asked = project.terminal(['shred', 'one', '--reason', 'request']);
    await asked.shows('Type one to go on:');
    asked.type('one\r');
    const { code, stdout } = await asked.finished;
    expect(code).toBe(0);
    expect(stdout).toContain('Destroyed 1 data key of one and removed the rows.');
    expect(await idsOf(project.store)).toEqual(['two']);
    const without = await project.run(['shred', 'two', '--yes', '--actor', 'anna']);
    expect(linesOf(without.stdout)).toMatchObject([
      { event: 'shred', sessionId: 'two', by: 'anna', rowsCleared: true },
    ]);
  });
});

describe('the question before something is removed', () => {
  it.each([
    ['Ctrl-C', '\u0003', 130, 'INTERRUPTED  Interrupted.'],
    ['Ctrl-D', '\u0004', 4, 'NOT_CONFIRMED  Not confirmed; nothing was changed.'],
    ['another word', 'on\r', 4, 'NOT_CONFIRMED  Not confirmed; nothing was changed.'],
  ])('ends with %s, and nothing is removed', async (_name, typed, exitCode, message) => {
    const project = await filledProject({ one: 1 });
    const asked = project.terminal(['erase', '--session', 'one']);
    await asked.shows('Type one to go on:');
    asked.type(typed);
    const { code, stdout } = await asked.finished;
    expect(code).toBe(exitCode);
    expect(stdout).toContain(message);
    expect(await idsOf(project.store)).toEqual(['one']);
  });

  it('takes an id with spaces around it', async () => {
    const project = await filledProject({ ' one ': 1 });
    const asked = project.terminal(['erase', '--session', ' one ']);
    await asked.shows('Type  one  to go on:');
    asked.type(' one \r');
    expect(await asked.finished).toMatchObject({ code: 0 });
    expect(await idsOf(project.store)).toEqual([]);
  });
});

describe('the audit log and the output of what removes', () => {
  it('have the caller and nothing of the content', async () => {
    const project = await filledProject({ one: 1 });
    const { stdout, stderr } = await project.run(['erase', '--session', 'one', '--yes', '--actor', 'anna']);
    const audit = await readFile(project.path('audit.jsonl'), 'utf8');
    expect(audit).toContain('"actor":"anna"');
    expect(stdout + stderr + audit).not.toContain(CANARY);
  });
});
