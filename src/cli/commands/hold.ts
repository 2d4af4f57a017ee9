import type { HoldRecord } from '../../keys/dek-store.ts';
import { keyPlacesOf } from '../../operations/key-places.ts';
import { defined } from '../../defined.ts';
import { hold, holdExists, noHold, release } from '../../operations/holds.ts';
import { listHolds } from '../../report/holds.ts';
import type { Store } from '../../stores/store.ts';
import type { Define } from '../command.ts';
import { shown, shownTime } from '../output.ts';
import { looking } from '../plans.ts';

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
        const found = await looking(context, store, async () => findHold(store, id));
        if (found !== undefined) throw holdExists(found.id);
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
        const found = await looking(context, store, async () => findHold(store, id));
        if (found === undefined) throw noHold(id);
        const { sessionId, releasedAt } = found;
        output.line(
          'would',
          defined({ id, releasedAt }),
          releasedAt === undefined
            ? `Would release the hold ${shown(id)} on ${shown(sessionId)}.`
            : `The hold ${shown(id)} on ${shown(sessionId)} was released at ${shownTime(releasedAt)}; nothing would change.`,
        );
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
    const found = await looking(context, store, async () => holdsOf(store));
    for (const record of found) {
      if (all !== true && record.releasedAt !== undefined) continue;
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

async function holdsOf(store: Store): Promise<readonly HoldRecord[]> {
  return listHolds((await keyPlacesOf('hold', store)).stores);
}

async function findHold(store: Store, id: string | undefined): Promise<HoldRecord | undefined> {
  return (await holdsOf(store)).find((record) => record.id === id);
}
