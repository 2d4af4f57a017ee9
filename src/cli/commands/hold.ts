import type { HoldRecord } from '../../keys/dek-store.ts';
import { asCall } from '../../operations/as-call.ts';
import { keyPlacesOf } from '../../operations/key-places.ts';
import { defined } from '../../defined.ts';
import { hold, release } from '../../operations/holds.ts';
import type { Define } from '../command.ts';
import { shown, shownTime } from '../output.ts';

interface HoldFlags {
  readonly reason: string;
  readonly id?: string;
}

export function registerHold(define: Define): void {
  define(
    'hold',
    'place a legal hold on a session: nothing of it is removed until it is released; needs no key',
    async (context, sessionId: string, { reason, id }: HoldFlags) => {
      const { output, origin } = context;
      const { store } = await context.open({ keyless: true });
      const members = defined({ sessionId, reason, id, by: origin.actor });
      if (context.dryRun) {
        output.line('would', members, `Would place a hold on ${shown(sessionId)}.`);
        return;
      }
      const record = await hold(store, { ...members, ...origin });
      output.line('hold', record, `Placed the hold ${shown(record.id)} on ${shown(sessionId)}.`);
    },
    { changes: true },
  )
    .argument('<session>')
    .requiredOption('--reason <text>', 'for readers of the record years later')
    .option('--id <id>', 'the id of the hold; default: a random one');

  define(
    'release',
    'release a legal hold; its record stays; needs no key',
    async (context, id: string) => {
      const { output, origin } = context;
      const { store } = await context.open({ keyless: true });
      if (context.dryRun) {
        output.line('would', { id }, `Would release the hold ${shown(id)}.`);
        return;
      }
      await context.confirm({
        what: `What the hold ${shown(id)} protects can be deleted afterwards.`,
        word: id,
      });
      const record = await release(store, id, defined({ by: origin.actor, ...origin }));
      const { sessionId, releasedAt } = record;
      output.line(
        'release',
        record,
        `Released the hold ${shown(id)} on ${shown(sessionId)} at ${shownTime(releasedAt)}.`,
      );
    },
    { changes: true, asks: true },
  ).argument('<hold>', 'the id of the hold');

  define('holds', 'list the open holds; needs no key', async (context, { all }: { readonly all?: true }) => {
    const { store } = await context.open({ keyless: true });
    const places = await keyPlacesOf('hold', store);
    const found = new Map<string, HoldRecord>();
    await asCall(store, 'checkKeys', context.origin, async () => {
      for (const { holds } of places.stores)
        for (const record of (await holds?.list(all === true ? {} : { open: true })) ?? [])
          found.set(record.id, record);
    });
    for (const record of found.values()) {
      const { id, sessionId, reason, placedAt, placedBy, releasedAt } = record;
      const by = placedBy === undefined ? '' : ` by ${shown(placedBy)}`;
      const until = releasedAt === undefined ? '' : ` · released ${shownTime(releasedAt)}`;
      context.output.line(
        'hold',
        record,
        `${shown(id)}  on ${shown(sessionId)} · ${shownTime(placedAt)}${by}${until} · ${shown(reason)}`,
      );
    }
  }).option('--all', 'released ones too');
}
