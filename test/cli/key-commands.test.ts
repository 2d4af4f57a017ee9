import { describe, expect, it } from 'vitest';
import { generateKey, keyring } from '../../src/index.ts';
import { checkKeys } from '../../src/operations/index.ts';
import { MAINTENANCE } from '../../src/session-contract.ts';
import type { Store } from '../../src/index.ts';
import { linesOf, type Project } from '../support/built-cli.ts';
import { CANARY, configOf, endedAndRepeated, filledProject, manySessions } from '../support/cli-project.ts';

const ROTATED = configOf({ keys: `{ current: { file: 'new.json' }, previous: [{ file: 'key.json' }] }` });

async function addNewKey(project: Project): Promise<string> {
  const key = await generateKey();
  await project.write('new.json', JSON.stringify(key));
  await project.write('strongroom.config.mjs', ROTATED);
  return key.kid as string;
}

async function kidsOf(store: Store): Promise<Record<string, number>> {
  const kids: Record<string, number> = {};
  for await (const { kid } of store[MAINTENANCE]?.dekStore.list() ?? []) kids[kid] = (kids[kid] ?? 0) + 1;
  return kids;
}

describe('strongroom verify', () => {
  it('opens every record and shows nothing of them', async () => {
    const project = await filledProject({ one: 3, two: 2 });
    const { code, stdout, stderr } = await project.run(['verify']);
    expect(code).toBe(0);
    expect(linesOf(stdout)).toEqual([{ event: 'result', sessions: 2, records: 5, shredded: 0, failed: 0 }]);
    expect(linesOf(stderr).at(-1)).toMatchObject({ event: 'progress', unit: 'sessions', done: 2, total: 2 });
    expect(stdout + stderr).not.toContain(CANARY);
  });

  it('names the records that do not open, in a terminal too', async () => {
    const project = await filledProject({ one: 2 });
    await project.write('key.json', JSON.stringify(await generateKey()));
    const { code, stdout } = await project.run(['verify', 'one']);
    expect(code).toBe(3);
    expect(linesOf(stdout)).toEqual([
      { event: 'failure', sessionId: 'one', index: 0, code: 'ERR_KEY_UNKNOWN' },
      { event: 'failure', sessionId: 'one', index: 1, code: 'ERR_KEY_UNKNOWN' },
      { event: 'result', sessions: 1, records: 2, shredded: 0, failed: 2 },
    ]);
    const shown = await project.terminal(['verify']).finished;
    expect(shown.code).toBe(3);
    expect(shown.stdout).toContain('ERR_KEY_UNKNOWN  one, record 0');
    expect(shown.stdout).toContain('[####################] 1 of 1 sessions · ');
    expect(shown.stdout).toContain('2 records in 1 session: 2 failed, 0 erased by their keys.');
  });
});

describe('strongroom rotate', () => {
  it('wraps every data key with the new key, and says that the old one is no longer needed', async () => {
    const project = await filledProject({ one: 1, two: 1, three: 1 });
    const kid = await addNewKey(project);
    const planned = await project.run(['rotate', '--dry-run']);
    expect(linesOf(planned.stdout)).toEqual([{ event: 'would', dataKeys: 3 }]);
    expect(await kidsOf(project.store)).toEqual({ [project.key.kid as string]: 3 });
    const { code, stdout } = await project.run(['rotate']);
    expect(code).toBe(0);
    expect(linesOf(stdout)).toEqual([
      { event: 'result', examined: 3, rewrapped: 3, failed: 0 },
      { event: 'key', kid, dataKeys: 3, sessions: 3 },
      { event: 'unused', kid: project.key.kid, state: 'previous' },
    ]);
    expect(await kidsOf(project.store)).toEqual({ [kid]: 3 });
  });

  it('changes nothing while a stored data key needs a key that is not in the configuration', async () => {
    const project = await filledProject({ one: 1 });
    await addNewKey(project);
    await project.write('strongroom.config.mjs', configOf({ keys: `{ current: { file: 'new.json' } }` }));
    const { code, stdout } = await project.terminal(['rotate']).finished;
    expect(code).toBe(3);
    expect(stdout).toContain(`${project.key.kid}  1 data key of 1 session · ERR_KEY_UNKNOWN`);
    expect(stdout).toContain('Add the keys to keys.previous first.');
    expect(await kidsOf(project.store)).toEqual({ [project.key.kid as string]: 1 });
  });
});

describe('strongroom rewrap', () => {
  it.each([
    ['SIGKILL', { code: null, signal: 'SIGKILL' }, []],
    [
      'SIGINT',
      { code: 130, signal: null },
      [
        {
          event: 'error',
          code: 'INTERRUPTED',
          message: 'Interrupted. What was done stays done; the same command again does the rest.',
        },
      ],
    ],
  ] as const)('finishes when it is started again after %s', async (by, end, errors) => {
    const project = await filledProject(manySessions(12, 2));
    const kid = await addNewKey(project);
    const { ended, repeated } = await endedAndRepeated(project, ['rewrap'], { kind: 'rewrap', at: 6, by });
    expect(ended).toMatchObject(end);
    expect(linesOf(ended.stderr).filter(({ event }) => event === 'error')).toEqual(errors);
    expect(repeated.code).toBe(0);
    const [result] = linesOf(repeated.stdout);
    // The progress is about what was left: neither more nor less than the rows that changed.
    expect(result).toMatchObject({ event: 'result', failed: 0 });
    const { rewrapped } = result as { rewrapped: number };
    expect(rewrapped).toBeGreaterThan(5);
    expect(rewrapped).toBeLessThan(12);
    expect(linesOf(repeated.stderr).at(-1)).toMatchObject({
      done: rewrapped,
      total: rewrapped,
      remaining: 0,
    });
    expect(await kidsOf(project.store)).toEqual({ [kid]: 12 });
  });

  it('shows its progress in a terminal', async () => {
    const project = await filledProject(manySessions(3, 1));
    await addNewKey(project);
    const { code, stdout } = await project.terminal(['rewrap']).finished;
    expect(code).toBe(0);
    expect(stdout).toContain('[####################] 3 of 3 data keys · ');
    expect(stdout).toContain('Wrapped 3 data keys anew; 0 did not open.');
  });
});

describe('strongroom reencrypt', () => {
  it('asks before it destroys data keys, and does nothing without an answer', async () => {
    const project = await filledProject({ one: 2 });
    const unasked = await project.run(['reencrypt', '--grace', '0']);
    expect(unasked.code).toBe(4);
    expect(linesOf(unasked.stderr)).toMatchObject([{ event: 'error', code: 'NOT_CONFIRMED' }]);
    const asked = project.terminal(['reencrypt', 'one', '--grace', '0']);
    await asked.shows('Type one to go on:');
    asked.type('two\r');
    expect((await asked.finished).code).toBe(4);
    expect(await kidsOf(project.store)).toEqual({ [project.key.kid as string]: 1 });
  });

  it('finishes when it is started again after it was killed', async () => {
    const project = await filledProject(manySessions(6, 2));
    const before: string[] = [];
    for await (const { did } of project.store[MAINTENANCE]?.dekStore.list() ?? []) before.push(did);
    const { ended, repeated } = await endedAndRepeated(project, ['reencrypt', '--grace', '0', '--yes'], {
      kind: 'reencrypt',
      at: 3,
      by: 'SIGKILL',
    });
    expect(ended.signal).toBe('SIGKILL');
    expect(repeated.code).toBe(0);
    expect(linesOf(repeated.stdout)).toMatchObject([{ event: 'result', sessions: 6, entries: 12, held: 0 }]);
    for await (const { did } of project.store[MAINTENANCE]?.dekStore.list() ?? [])
      expect(before).not.toContain(did);
    const keys = keyring({ current: project.key });
    expect(await checkKeys(project.store, { keys })).toMatchObject([{ sessions: 6 }]);
    expect((await project.run(['verify'])).code).toBe(0);
  });

  it('goes on when the person types the word', async () => {
    const project = await filledProject({ one: 2 });
    const asked = project.terminal(['reencrypt', '--grace', '0']);
    await asked.shows('Type reencrypt to go on:');
    asked.type('reencrypt\r');
    const { code, stdout } = await asked.finished;
    expect(code).toBe(0);
    expect(stdout).toContain('Sealed 2 items of 1 session anew; destroyed 1 data key.');
  });
});
