import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { branches } from '../../src/history/index.ts';
import { hold } from '../../src/operations/index.ts';
import { linesOf, type Finished } from '../support/built-cli.ts';
import { configOf, filledProject, type FilledProject } from '../support/cli-project.ts';

const errorOf = ({ stderr }: Finished): unknown =>
  linesOf(stderr).find(({ event }) => event === 'error')?.['code'];

/** A dry run and the command itself, of which the first must end as the second. */
async function both(
  project: FilledProject,
  args: readonly string[],
): Promise<{ readonly planned: Finished; readonly done: Finished }> {
  const planned = await project.run([...args, '--dry-run']);
  const done = await project.run(args);
  expect({ code: planned.code, error: errorOf(planned) }).toEqual({ code: done.code, error: errorOf(done) });
  return { planned, done };
}

describe('a dry run', () => {
  it('of release and hold knows the ids of holds', async () => {
    const project = await filledProject({ one: 1 });
    const { done } = await both(project, ['release', 'none', '--yes']);
    expect(errorOf(done)).toBe('ERR_INVALID_OPTION');
    await hold(project.store, { sessionId: 'one', reason: 'case 7', id: 'h1' });
    const again = await both(project, ['hold', 'one', '--reason', 'case 8', '--id', 'h1']);
    expect(errorOf(again.done)).toBe('ERR_CONFLICT');
    await project.run(['release', 'h1', '--yes']);
    const { planned } = await both(project, ['release', 'h1', '--yes']);
    expect(linesOf(planned.stdout)).toEqual([
      { event: 'would', id: 'h1', releasedAt: expect.any(Number) as number },
    ]);
  });

  it('of shred and erase looks for holds, in a conversation and in what belongs to it', async () => {
    const project = await filledProject({ one: 1, two: 1 }, { subject: 'person-7' });
    await branches(project.store, 'two').create('kept');
    await hold(project.store, { sessionId: '~branch~kept~two', reason: 'case 7' });
    const shredded = await both(project, ['shred', 'two', '--yes']);
    expect(errorOf(shredded.done)).toBe('ERR_HELD');
    const { planned, done } = await both(project, ['erase', '--subject', 'person-7', '--yes']);
    expect(planned.code).toBe(3);
    expect(linesOf(planned.stdout).at(-1)).toMatchObject({ event: 'sum', held: true });
    expect(linesOf(done.stdout)[0]).toMatchObject({ event: 'held' });
    // What belongs to a held conversation is held with it.
    await hold(project.store, { sessionId: 'two', reason: 'case 8' });
    const branch = await both(project, ['shred', '~branch~kept~two', '--yes']);
    expect(errorOf(branch.done)).toBe('ERR_HELD');
  });

  it('of branches delete knows the branches, the current one, and holds', async () => {
    const project = await filledProject({ one: 2 });
    const tree = branches(project.store, 'one');
    await tree.create('second');
    await tree.switch('second');
    const deleting = ['branches', 'delete', 'one'];
    expect(errorOf((await both(project, [...deleting, 'third', '--yes'])).done)).toBe('ERR_INVALID_OPTION');
    expect(errorOf((await both(project, [...deleting, 'main', '--yes'])).done)).toBe('ERR_INVALID_OPTION');
    expect(errorOf((await both(project, [...deleting, 'second', '--yes'])).done)).toBe('ERR_CONFLICT');
    const { id } = await hold(project.store, { sessionId: '~branch~second~one', reason: 'case 7' });
    const forced = [...deleting, 'second', '--force', '--yes'];
    expect(errorOf((await both(project, forced)).done)).toBe('ERR_HELD');
    await project.run(['release', id, '--yes']);
    expect((await both(project, forced)).done.code).toBe(0);
  });

  it('of import compares with what the sessions hold, and writes nothing', async () => {
    const source = await filledProject({ one: 2, two: 1, three: 1 });
    await source.run(['export', '--all', '--out', 'out.jsonl']);
    const target = await filledProject({ two: 3 });
    await target.write('in.jsonl', await source.read('out.jsonl'));
    const { planned, done } = await both(target, ['import', 'in.jsonl']);
    expect(planned.code).toBe(3);
    const ends = linesOf(planned.stdout).map(({ event, ...members }) => [event, members]);
    expect(ends).toEqual([
      ['conflict', { id: 'two' }],
      ['would', { sessions: 3, written: 3, already: 0, conflicts: 1 }],
    ]);
    expect(linesOf(done.stdout).at(-1)).toMatchObject({ written: 3, already: 0, conflicts: 1 });
    const again = await both(target, ['import', 'in.jsonl']);
    expect(linesOf(again.planned.stdout).at(-1)).toMatchObject({ written: 0, already: 3, conflicts: 1 });
  });

  it('of transfer needs a target as the command does, and makes none', async () => {
    const project = await filledProject({ one: 1 });
    expect((await both(project, ['transfer'])).done.code).toBe(2);
    expect((await both(project, ['transfer', '--to', 'none.mjs'])).done.code).toBe(2);
    const before = await readdir(project.folder);
    const planned = await project.run(['transfer', '--to-file', 'copy.db', '--dry-run']);
    expect(linesOf(planned.stdout)).toEqual([{ event: 'would', sessions: 1, items: 1 }]);
    expect(await readdir(project.folder)).toEqual(before);
  });

  it.each([
    [['erase', '--session', 'one']],
    [['shred', 'one']],
    [['release', 'h1']],
    [['hold', 'one', '--reason', 'case 7']],
    [['branches', 'delete', 'one', 'second']],
    [['transfer', '--to-file', 'copy.db']],
    [['reencrypt']],
    [['migrate']],
    [['rewrap']],
  ])('is a read that authorize() can refuse: %j', async (args) => {
    const project = await filledProject({ one: 1 });
    const layers = `{ name: 'guard', around(call, next) {
      if (call.actor === 'mallory') throw Object.assign(new Error('refused ' + call.kind), { name: 'Refused' });
      return next();
    } }, encrypt({ keys })`;
    await project.write('strongroom.config.mjs', configOf({ layers }));
    const { code, stdout, stderr } = await project.run([...args, '--dry-run', '--actor', 'mallory']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('refused checkKeys');
  });
});
