/** A text as recognizers get it, with the mapping of its ranges to the original. */
export interface TextView {
  readonly text: string;
  /** The original range of the view's `[start, end)`. */
  original(start: number, end: number): readonly [start: number, end: number];
}

/** Builds the view of a text in which some pieces are replaced; everything between them is kept. */
export interface ViewBuilder {
  /** Replaces the original from `start` to `end` by `text`. In order, without overlaps; `text` may be empty. */
  replace(start: number, end: number, text: string): void;
  /** The view, or `undefined` when nothing was replaced. */
  build(): TextView | undefined;
}

const FIELDS = 4;
const FIRST_SIZE = 64;

/**
 * Ranges are mapped by the replaced pieces only, each four numbers in one array: a text of many megabytes costs no
 * object a character.
 */
export function viewBuilder(view: TextView): ViewBuilder {
  const source = view.text;
  const blocks: string[] = [];
  let block = '';
  let length = 0;
  let done = 0;
  // For each piece: its first and last offset in the view and in the source.
  let pieces = new Uint32Array(FIELDS * FIRST_SIZE);
  let used = 0;
  const append = (text: string): void => {
    if (text === '') return;
    block += text;
    length += text.length;
    if (block.length < 1 << 15) return;
    blocks.push(block);
    block = '';
  };
  return {
    replace(start, end, text) {
      append(source.slice(done, start));
      if (used === pieces.length) {
        const larger = new Uint32Array(2 * used);
        larger.set(pieces);
        pieces = larger;
      }
      pieces[used] = length;
      pieces[used + 1] = length + text.length;
      pieces[used + 2] = start;
      pieces[used + 3] = end;
      used += FIELDS;
      append(text);
      done = end;
    },
    build() {
      if (used === 0) return undefined;
      append(source.slice(done));
      const map = pieces.subarray(0, used);
      return {
        text: blocks.join('') + block,
        original(start, end) {
          const first = startInSource(map, start);
          return view.original(first, end <= start ? first : endInSource(map, end));
        },
      };
    },
  };
}

/** The offset in the source at which the unit of the view at `place` begins. */
function startInSource(map: Uint32Array, place: number): number {
  const piece = lastPieceBefore(map, place + 1);
  if (piece < 0) return place;
  const to = map[piece + 1] as number;
  return place < to ? (map[piece + 2] as number) : (map[piece + 3] as number) + place - to;
}

/** The offset in the source at which the unit of the view that ends at `place` ends. */
function endInSource(map: Uint32Array, place: number): number {
  const piece = lastPieceBefore(map, place);
  return piece < 0 ? place : (map[piece + 3] as number) + Math.max(0, place - (map[piece + 1] as number));
}

/** Offset in `map` of the last piece that begins before `place` in the view; negative when none does. */
function lastPieceBefore(map: Uint32Array, place: number): number {
  let low = 0;
  let high = map.length / FIELDS;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((map[middle * FIELDS] as number) < place) low = middle + 1;
    else high = middle;
  }
  return (low - 1) * FIELDS;
}
