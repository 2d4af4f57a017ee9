import { defined } from '../../defined.ts';
import type { Keyring } from '../../keys/keyring.ts';
import { checkKeys, type KeyUse } from '../../operations/check-keys.ts';
import { keyPlacesOf, wrappedKeysOf } from '../../operations/key-places.ts';
import { rewrap, type RewrapReport } from '../../operations/rewrap.ts';
import type { Store } from '../../stores/store.ts';
import type { Context, Define } from '../command.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { counted, shown } from '../output.ts';
import { countedFirst } from '../plans.ts';

export function registerRewrap(define: Define): void {
  define(
    'rewrap',
    'wrap the data keys with the current key; no item is changed',
    async (context, { kid }: { readonly kid?: string }) => {
      const { store, keys } = await context.open();
      const count = async (): Promise<number | undefined> => countOld(store, keys, kid);
      const total = await countedFirst(context, store, count);
      if (context.dryRun) {
        const text = total === undefined ? 'the data keys' : counted(total, 'data key');
        context.output.line(
          'would',
          defined({ dataKeys: total }),
          `Would wrap ${text} with the current key.`,
        );
        return EXIT.done;
      }
      const { failed } = await rewrapAll(context, store, total, kid);
      return failed === 0 ? EXIT.done : EXIT.findings;
    },
    { changes: true },
  ).option(
    '--kid <kid>',
    'only data keys that this key wraps; default: all that the current key does not wrap',
  );
}

export function registerRotate(define: Define): void {
  define(
    'rotate',
    'the planned change of the key: check, wrap all data keys with the current key, say which keys are no longer used',
    async (context) => {
      const { output, origin, signal } = context;
      const { store, keys } = await context.open();
      if (keys === undefined) {
        throw new CommandError(
          'USAGE',
          'rotate: the configuration has no keys. Add them, or run rewrap, which takes the keyring of encrypt().',
        );
      }
      const blocked = (await checkKeys(store, { keys, signal, ...origin })).filter(
        ({ problem }) => problem !== undefined,
      );
      for (const use of blocked) printUse(context, use);
      if (blocked.length > 0) {
        output.hint('Some data keys cannot be opened with these keys. Add the keys to keys.previous first.');
        return EXIT.findings;
      }
      const total = await countOld(store, keys);
      if (context.dryRun) {
        output.line(
          'would',
          { dataKeys: total },
          `Would wrap ${counted(total ?? 0, 'data key')} with ${shown(keys.current)}.`,
        );
        return EXIT.done;
      }
      const { failed } = await rewrapAll(context, store, total);
      const used = await checkKeys(store, { keys, signal, ...origin });
      for (const use of used) printUse(context, use);
      const unused = keys
        .keys()
        .filter(
          ({ kid, state }) =>
            state !== 'current' && state !== 'destroyed' && !used.some((use) => use.kid === kid),
        );
      for (const { kid, state } of unused) {
        output.line(
          'unused',
          { kid, state },
          `${shown(kid)}  no data key needs it: it can leave the configuration`,
        );
      }
      return failed === 0 ? EXIT.done : EXIT.findings;
    },
    { changes: true },
  );
}

function printUse({ output }: Context, use: KeyUse): void {
  const { kid, dataKeys, sessions, problem } = use;
  const end = problem === undefined ? '' : ` · ${problem}: these keys cannot open them`;
  output.line(
    'key',
    use,
    `${shown(kid)}  ${counted(dataKeys, 'data key')} of ${counted(sessions, 'session')}${end}`,
  );
}

/** How many data keys a rewrap examines; `undefined` where each tenant has a keyring of its own. */
async function countOld(store: Store, keys: Keyring | undefined, only?: string): Promise<number | undefined> {
  if (keys === undefined) return undefined;
  const old = new Set<string>();
  for await (const { kid, sessionId, did } of wrappedKeysOf(
    'rewrap',
    await keyPlacesOf('rewrap', store),
    only,
  )) {
    if (kid !== keys.current) old.add(JSON.stringify([sessionId, did]));
  }
  return old.size;
}

async function rewrapAll(
  { output, origin, signal }: Context,
  store: Store,
  total: number | undefined,
  kid?: string,
): Promise<RewrapReport> {
  const progress = output.progress(defined({ unit: 'data keys', total }));
  const report = await rewrap(store, {
    ...defined({ kid }),
    ...origin,
    signal,
    onProgress: ({ examined }) => progress.at(examined),
  });
  progress.end();
  const { failures, ...sums } = report;
  for (const failure of failures)
    output.line('failure', failure, `${failure.code}  ${shown(failure.sessionId)}, data key ${failure.did}`);
  output.line(
    'result',
    sums,
    `Wrapped ${counted(sums.rewrapped, 'data key')} anew; ${sums.failed} did not open.`,
  );
  return report;
}
