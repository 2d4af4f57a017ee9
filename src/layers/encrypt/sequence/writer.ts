import { randomName } from '../../../crypto/random.ts';
import { getOrMake } from '../../../get-or-make.ts';
import type { Header, SessionCall } from '../../../layer.ts';
import { formatSequence, mergeNotes, sequenceOf, type Note } from './field.ts';
import { memoryImage, sameImage, type MemoryImage } from './image.ts';

/** Characters of a writer's name: 48 bits. */
const WRITER_LENGTH = 8;

/** The numbering of a stack in one session. */
interface Chain {
  readonly writer: string;
  next: number;
  /** The latest expiry of its records: a record that expires earlier can be removed before its predecessors. */
  latest: number;
  /** Notes of the next record on numbers that may be missing before it. */
  notes: readonly Note[];
  image: MemoryImage;
}

/** Numbers for all records that a stack writes: one chain a session, as long as every change is acknowledged. */
export interface SequenceWriter {
  /** The field of each record of one write, in their order. */
  number(headers: readonly Header[], call: SessionCall): string[];
  /** Whether the call has numbered records. */
  wrote(call: SessionCall): boolean;
  /** Records that this stack removed: the next record gets a note on them. */
  removed(headers: readonly (Header | undefined)[], call: SessionCall): void;
  /** Later records begin a new chain, because it is unknown whether the last records were stored. */
  restart(call: SessionCall): void;
}

export function createSequenceWriter(): SequenceWriter {
  // By stack and not by layer: two wrappers that share a layer do not wait for each other. Where the session chooses
  // its history by the run context, by that: numbers of two histories must not mix.
  const stacks = new WeakMap<object, Map<string, Chain>>();
  const chainsOf = ({ layers, routesByRunContext, runContext }: SessionCall): Map<string, Chain> => {
    const owner = (routesByRunContext ? runContext : undefined) ?? layers;
    return getOrMake(stacks, owner, () => new Map());
  };

  function chainOf(call: SessionCall): Chain {
    const chains = chainsOf(call);
    const known = chains.get(call.sessionId);
    const image = memoryImage();
    // A copy of this process would use the same writer and the same numbers.
    if (known !== undefined && sameImage(known.image, image)) {
      known.image = image;
      return known;
    }
    const chain = newChain(image);
    chains.set(call.sessionId, chain);
    return chain;
  }

  /** By the result of the call, which its copies share. */
  const writing = new WeakSet<object>();

  return {
    wrote: ({ result }) => writing.has(result),
    number(headers, call) {
      if (headers.length > 0) writing.add(call.result);
      // The replacement of the oldest records comes before the records that this chain has written already.
      const atStart = call.kind === 'replacePrefix';
      const chain = atStart ? newChain(memoryImage()) : chainOf(call);
      const gone = removalNotes(removedBy(call).map(({ header }) => header));
      if (!atStart) chain.notes = mergeNotes([...chain.notes, ...gone]);
      return headers.map((header, index) => {
        const number = chain.next++;
        const notes =
          atStart && index === headers.length - 1 ? mergeNotes([...chain.notes, ...gone]) : chain.notes;
        chain.notes = notesAfter(chain, number, header);
        return formatSequence({ writer: chain.writer, number, notes });
      });
    },
    removed(headers, call) {
      const chain = chainsOf(call).get(call.sessionId);
      if (chain === undefined) return;
      // No notes on other writers: one of them may write again before this stack does.
      const own = removalNotes(headers).filter((note) => note.writer === chain.writer);
      chain.notes = mergeNotes([...chain.notes, ...own]);
    },
    restart(call) {
      chainsOf(call).delete(call.sessionId);
    },
  };
}

/** An append removes nothing: what it replaces was cleared before, and other writers may have written since. */
function removedBy({ kind, removes, replaces = [] }: SessionCall): NonNullable<SessionCall['replaces']> {
  return kind === 'addItems' ? [] : (removes ?? replaces);
}

function newChain(image: MemoryImage): Chain {
  return {
    writer: randomName().slice(0, WRITER_LENGTH),
    next: 0,
    latest: Number.NEGATIVE_INFINITY,
    notes: [],
    image,
  };
}

/** The notes of the next record: when a record that expires before older ones is missing, this is not a gap. */
function notesAfter(chain: Chain, number: number, header: Header): Note[] {
  const expiry = header.e ?? Number.POSITIVE_INFINITY;
  if (expiry >= chain.latest) {
    chain.latest = expiry;
    return [];
  }
  const before = chain.notes.find((note) => note.to === number - 1 && note.after !== undefined);
  return [
    {
      writer: chain.writer,
      from: before?.from ?? number,
      to: number,
      after: Math.max(expiry, before?.after ?? 0),
    },
  ];
}

/** One note for each writer of the records, and the notes of those records. */
function removalNotes(headers: readonly (Header | undefined)[]): Note[] {
  const ranges = new Map<string, Note>();
  const said: Note[] = [];
  for (const header of headers) {
    const found = sequenceOf(header);
    if (found === undefined) continue;
    const { writer, number } = found;
    said.push(...found.notes);
    const range = ranges.get(writer);
    // The writer of the newest record last: if there is no space for all, its note is kept.
    ranges.delete(writer);
    ranges.set(writer, {
      writer,
      from: Math.min(number, range?.from ?? number),
      to: Math.max(number, range?.to ?? number),
    });
  }
  return [...said.filter((note) => outside(note, ranges.get(note.writer))), ...ranges.values()];
}

function outside(note: Note, range: Note | undefined): boolean {
  return range === undefined || note.from < range.from || note.to > range.to;
}
