import type { AgentInputItem, Session } from '@openai/agents';
import type { Entry } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { readPrefixArguments, type PrefixArguments } from '../protocol/arguments.ts';
import { digestInSlices } from '../protocol/digest.ts';
import { conflictError, SENTENCES } from '../protocol/transaction.ts';
import { countOf, known, readNow, send, type Parts } from './parts.ts';
import type { CallsOf } from './rare-calls.ts';
import { createReceive, type Archive, type Receive } from './receive.ts';
import { storedOf, type Opened } from './records.ts';

/** Arguments of `replacePrefix` of a wrapped session. */
export interface ReplacePrefixArgs {
  /** How many of the oldest items (as `getItems()` gives them) are replaced; at least 1. */
  readonly count: number;
  /** `historyDigest` of these items. */
  readonly digest: string;
  /** The items that replace them; they expire at the latest with the first of them. */
  readonly replacement: readonly AgentInputItem[];
  /** Stable under retries. */
  readonly operationId: string;
  /** A session of the same store, at whose end the replaced items are appended in the same transaction. */
  readonly archiveTo?: Session;
}

/** The session of a store below the layers: it compares and replaces records. */
interface PrefixSession extends Session {
  replacePrefix(
    args: Omit<ReplacePrefixArgs, 'archiveTo'> & {
      readonly archiveTo: (Archive & { readonly from: readonly number[] }) | undefined;
    },
  ): Promise<void>;
}

const WHERE = 'replacePrefix';

/**
 * `replacePrefix` of our stores through the stack: the oldest items are compared in plaintext, their records by the
 * store, and archived items are opened and sealed again for the archive.
 */
export function createPrefix(
  { inner, stack, pipeline, calls, comparison, histories, maxItemBytes }: Parts,
  callsOf: CallsOf,
): (args: ReplacePrefixArgs) => Promise<void> {
  function checkedArgs(args: ReplacePrefixArgs): CheckedPrefix {
    const { archiveTo, ...rest } = readPrefixArguments(args, maxItemBytes);
    const archive = callsOf(archiveTo as Session);
    const receive = archive?.using(createReceive);
    if (archiveTo !== undefined && receive === undefined) {
      return invalidOption(
        WHERE,
        'archiveTo',
        'a session of the same store, wrapped by wrapSession',
        archiveTo,
      );
    }
    return { ...rest, receive };
  }

  return async (args) => {
    const checked = readNow(() => checkedArgs(args));
    const operation = known(() => ({ operationId: checked().operationId }));
    const details = { checked, ...countOf(args?.replacement), ...operation };
    return calls.mutate(WHERE, details, async (call) => {
      const { count, digest, operationId, replacement, receive } = checked();
      await calls.assertWritable(call);
      if ((await inner.applied(operationId)) === true) return;
      const opened = await pipeline.read(undefined, calls.quiet(call), false);
      const going = firstVisible(opened, count);
      if (going === undefined || (await digestOf(going)) !== digest) {
        throw conflictError(SENTENCES.prefix);
      }
      await calls.assertRemovable(going, call);
      const bottoms: Entry[] = [];
      const from: number[] = [];
      for (const [index, { visible, bottom }] of going.entries()) {
        if (visible === undefined || bottom === undefined) continue;
        bottoms.push(bottom);
        from.push(index);
      }
      const commit = async (archive?: Archive): Promise<void> => {
        const written = await send(
          stack,
          call,
          async () =>
            pipeline.write(await comparison.restored(comparison.entriesOf(replacement), going), {
              ...call,
              replaces: bottoms,
            }),
          async (sealed) =>
            (inner.session as PrefixSession).replacePrefix({
              count: going.length,
              digest: await digestInSlices(going.map((record) => record.stored)),
              replacement: sealed.map(storedOf),
              operationId,
              archiveTo: archive && { ...archive, from },
            }),
        );
        histories.of(call).memory.wrote(written);
        call.result.items = replacement.length;
      };
      if (receive === undefined) await commit();
      else await receive(bottoms, { kind: 'archive', operationId, copiedFrom: call.sessionId }, commit);
    });
  };
}

interface CheckedPrefix extends Omit<PrefixArguments, 'archiveTo'> {
  readonly receive: Receive | undefined;
}

/** The records up to the `count`th visible one, with the hidden ones in between. */
function firstVisible(opened: readonly Opened[], count: number): readonly Opened[] | undefined {
  let seen = 0;
  for (const [index, record] of opened.entries()) {
    if (record.visible !== undefined) seen += 1;
    if (seen === count) return opened.slice(0, index + 1);
  }
  return undefined;
}

function digestOf(records: readonly Opened[]): string | Promise<string> {
  return digestInSlices(records.flatMap((record) => record.visible?.item ?? []));
}
