import type { Command } from 'commander';
import { defined } from '../../defined.ts';
import { branches, checkDeletion, type BranchInfo } from '../../history/branches.ts';
import type { Define } from '../command.ts';
import { CommandError } from '../exit-codes.ts';
import { columns, counted, shown, shownTime } from '../output.ts';
import { assertNotHeld, looking } from '../plans.ts';

interface CreateFlags {
  readonly turn?: string;
  readonly turns?: string;
  readonly from?: string;
}

export function registerBranches(define: Define, program: Command): void {
  const parent = program.command('branches').description('branches of a conversation');

  define(
    'list',
    'list the branches of a session',
    async (context, id: string) => {
      const { store } = await context.open();
      const list = await branches(store, id).list(context.origin);
      const texts = columns(list.map(cellsOf));
      list.forEach((branch, index) => context.output.line('branch', branch, texts[index] as string));
    },
    { parent },
  ).argument('<session>');

  define(
    'create',
    'copy the current branch, or its beginning, into a new one',
    async (context, id: string, name: string, { turn, turns, from }: CreateFlags) => {
      const { store } = await context.open();
      const point = defined({ turn: countOf('--turn', turn), turns: countOf('--turns', turns), from });
      await branches(store, id).create(name, { ...point, ...context.origin });
      context.output.line('branch', { name }, `Made the branch ${shown(name)} of ${shown(id)}.`);
    },
    { parent },
  )
    .argument('<session>')
    .argument('<name>')
    .option('--turn <number>', 'only what stands before this turn')
    .option('--turns <count>', 'without the last turns')
    .option('--from <branch>', 'the branch to copy; default: the current one');

  define(
    'switch',
    'make a branch the current one, for every process',
    async (context, id: string, name: string) => {
      const { store } = await context.open();
      await branches(store, id).switch(name, context.origin);
      context.output.line(
        'branch',
        { name, current: true },
        `The current branch of ${shown(id)} is ${shown(name)}.`,
      );
    },
    { parent },
  )
    .argument('<session>')
    .argument('<name>');

  define(
    'delete',
    'delete a branch with its data keys',
    async (context, id: string, name: string, { force }: { readonly force?: true }) => {
      const { store } = await context.open();
      const options = { force: force === true, ...context.origin };
      if (context.dryRun) {
        await looking(context, store, async () =>
          assertNotHeld(store, [await checkDeletion(store, id, name, options)]),
        );
        context.output.line('would', { name }, `Would delete the branch ${shown(name)} of ${shown(id)}.`);
        return;
      }
      await context.confirm({
        what: `This deletes the branch ${shown(name)} of ${shown(id)} for good.`,
        word: name,
      });
      await branches(store, id).delete(name, options);
      context.output.line('deleted', { name }, `Deleted the branch ${shown(name)} of ${shown(id)}.`);
    },
    { parent, changes: true, asks: true },
  )
    .argument('<session>')
    .argument('<name>')
    .option('--force', 'also when it is the current one');
}

function cellsOf({ name, current, items, turns, created, from }: BranchInfo): string[] {
  const origin = from === undefined ? '' : `from ${shown(from)} · ${shownTime(created)}`;
  return [current ? '*' : ' ', shown(name), counted(items, 'item'), counted(turns, 'turn'), origin];
}

function countOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CommandError('USAGE', `${option} must be a whole number.`);
}
