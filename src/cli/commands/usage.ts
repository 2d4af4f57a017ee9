import { sessionUsage, subjectUsage, type SessionUsage, type UsageSum } from '../../history/usage.ts';
import type { Define } from '../command.ts';
import { CommandError } from '../exit-codes.ts';
import { columns, counted, shown } from '../output.ts';
import { sessionOf } from '../targets.ts';

export function registerUsage(define: Define): void {
  define(
    'usage',
    'tokens of a session or of a subject, as recordUsage() counted them',
    async (context, id: string | undefined, { subject }: { readonly subject?: string }) => {
      const { store } = await context.open();
      if ((id === undefined) === (subject === undefined))
        throw new CommandError('USAGE', 'usage: give either a session or --subject.');
      const usage =
        subject === undefined
          ? await sessionUsage(sessionOf(store, id as string), context.origin)
          : await subjectUsage(store, subject, context.origin);
      context.output.line('usage', usage, textOf(usage));
    },
  )
    .argument('[session]')
    .option('--subject <subject>', 'of all sessions of this subject');
}

function textOf(usage: SessionUsage): string {
  const rows = [
    ['', 'input', 'output', 'total'],
    ['all', ...numbersOf(usage)],
  ];
  for (const [what, sums] of [
    ['model', usage.models],
    ['agent', usage.agents],
    ['branch', usage.branches],
  ] as const) {
    for (const [name, sum] of Object.entries(sums)) {
      rows.push([`${what} ${name === '' ? '(no name)' : shown(name)}`, ...numbersOf(sum)]);
    }
  }
  return [counted(usage.runs, 'run'), ...columns(rows)].join('\n');
}

function numbersOf({ inputTokens, outputTokens, totalTokens }: UsageSum): string[] {
  return [inputTokens, outputTokens, totalTokens].map((tokens) => tokens.toLocaleString('en'));
}
